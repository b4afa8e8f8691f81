package main

import (
	"context"
	"fmt"
	"io"

	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/conntally/demo"
	"github.com/conntally/conntally/export/decode"
)

// runDemo is `conntally demo`.
func runDemo(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlags("demo", "show it at work on a router made of namespaces", stdout)
	var proto config.Protocol
	fs.Func("protocol", "export by `PROTOCOL`: ipfix or netflow9 (default ipfix)", func(s string) error {
		return proto.UnmarshalText([]byte(s))
	})
	if err := fs.Parse(args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, demo.Timeout)
	defer cancel()
	d, err := newDemo(ctx, proto, stderr)
	if err != nil {
		return err
	}
	defer d.close()
	return d.show(ctx, stdout)
}

// demonstration is a lab whose router runs the real probe and a collector, which stores the flows.
type demonstration struct {
	router *demo.Router
	server *server

	ready    chan struct{} // closed at the first message: the probe has started
	received chan []decode.Flow
}

func newDemo(ctx context.Context, proto config.Protocol, stderr io.Writer) (*demonstration, error) {
	router, err := demo.New()
	if err != nil {
		return nil, err
	}
	d := &demonstration{
		router: router, ready: make(chan struct{}), received: make(chan []decode.Flow, 1),
	}
	err = router.Router.Do(func() (err error) {
		d.server, err = newServer("127.0.0.1:0")
		return err
	})
	if err != nil {
		router.Close()
		return nil, err
	}
	go d.collect()
	c := demo.Config(d.server.Address())
	c.Collectors[0].Protocol = proto
	router.Start(ctx, c, version, stderr)
	return d, nil
}

// collect receives flows until the server is finished.
func (d *demonstration) collect() {
	var flows []decode.Flow
	started := false
	_ = d.server.serve(func(m decode.Message, _ error) {
		if !started {
			close(d.ready)
			started = true
		}
		flows = append(flows, m.Flows...)
	})
	d.received <- flows
}

// close stops whatever still runs. It may be called more than once.
func (d *demonstration) close() {
	d.server.Close()
	d.router.Close()
}

// show generates the traffic, and prints the flows that arrived.
func (d *demonstration) show(ctx context.Context, stdout io.Writer) error {
	select {
	case <-d.ready:
	case err := <-d.router.Stopped:
		return fmt.Errorf("the probe did not start: %w", err)
	case <-ctx.Done():
		return demo.Interrupted(ctx)
	}
	fmt.Fprint(stdout, demoStory)
	if err := d.router.Traffic(ctx); err != nil {
		return err
	}
	flows, err := d.finish(ctx)
	if err != nil {
		return err
	}
	printFlows(stdout, flows)
	return d.compare(ctx, stdout, flows)
}

const demoStory = `A client (192.168.77.10), a NAT router and a server (198.51.100.20), each in a
network namespace. The router runs the probe, with an active timeout of 3 s and
an idle timeout of 4 s. Traffic flows for about 7 s ...

`

// finish stops the probe, which exports what is pending, and returns all flows that arrived.
func (d *demonstration) finish(ctx context.Context) ([]decode.Flow, error) {
	if _, err := d.router.Settle(ctx); err != nil {
		return nil, demo.Explain(ctx, err)
	}
	if err := d.router.Stop(); err != nil {
		return nil, err
	}
	if err := d.router.Router.Do(d.server.Finish); err != nil {
		return nil, err
	}
	return <-d.received, nil
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/conntally-history/config"
	"github.com/conntally/conntally/cmd/conntally-history/report"
	"github.com/conntally/conntally/cmd/conntally-history/serve"
	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/conntally/demo"
	"github.com/conntally/conntally/cmd/internal/command"
	"github.com/conntally/conntally/cmd/internal/logging"
	"github.com/conntally/conntally/cmd/internal/setting"
	"github.com/conntally/conntally/cmd/internal/terminal"
	"github.com/conntally/conntally/conntrack"
)

const demoStory = `A client (192.168.77.10), a NAT router and a server (198.51.100.20), each in a
network namespace. The router runs conntally, and conntally-history as its
collector. Traffic flows for about 7 s ...

`

// runDemo is `conntally-history demo`.
func runDemo(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := command.NewFlags(name, "demo", "show it at work on a router made of namespaces", stdout)
	web := fs.String("web", "127.0.0.1:9470",
		"serve the page at `HOST:PORT`, where there is a terminal")
	if err := fs.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "conntally-history-demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d := &demonstration{
		path: filepath.Join(dir, "history.db"), config: config.Default(), stderr: stderr,
		calendar: usage.Calendar{Location: time.Local}, began: time.Now(),
	}
	d.config.Devices.Leases = nil // the lab's devices are not those of this machine
	d.config.Database.FlushInterval = config.Duration(time.Second)
	if err := d.show(ctx, stdout); err != nil {
		return err
	}
	return d.page(ctx, *web, stdout)
}

// demonstration is a router with a history of its own.
type demonstration struct {
	path     string
	config   *config.Config
	calendar usage.Calendar
	// From when to when the service ran in the router.
	began, ended time.Time
	stderr       io.Writer
}

// service is a running serve.Service.
type service struct {
	stop    context.CancelFunc
	stopped chan error
}

// start starts the service. It has its sockets in the network namespace of do.
func (d *demonstration) start(ctx context.Context, do func(func() error) error) (*service, error) {
	var s *serve.Service
	err := do(func() (err error) {
		s, err = serve.New(ctx, serve.Options{
			Config: d.config, Database: d.path, Version: version, Calendar: d.calendar,
			Log:   logging.New(d.stderr, logging.FormatAuto, zapcore.WarnLevel),
			Clock: conntrack.SystemClock(),
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	running := &service{stop: stop, stopped: make(chan error, 1)}
	go func() { running.stopped <- errors.Join(s.Run(ctx), s.Close()) }()
	return running, nil
}

// end ends the service, which writes what is left.
func (s *service) end() error {
	s.stop()
	return <-s.stopped
}

// show sends traffic through the router, prints what history knows of it, and compares that
// with what nftables counted.
func (d *demonstration) show(ctx context.Context, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 2*demo.Timeout)
	defer cancel()
	router, err := demo.New(netip.MustParseAddr("203.0.113.9")) // with an uplink
	if err != nil {
		return err
	}
	defer router.Close()
	if err := d.nameClient(router.Client); err != nil {
		return err
	}
	d.config.Web.Enable = false // nobody could reach it inside the router
	history, err := d.start(ctx, router.Router.Do)
	if err != nil {
		return err
	}
	forwarded, err := d.observe(ctx, router, stdout)
	d.ended = time.Now().Add(-time.Second) // the database has whole seconds
	if failed := history.end(); err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	reader, err := openReader(ctx, d.path)
	if err != nil {
		return err
	}
	defer reader.Close()
	if err := d.reports(ctx, reader, stdout); err != nil {
		return err
	}
	return d.compare(ctx, reader, forwarded, stdout)
}

// nameClient has the client known by a name.
func (d *demonstration) nameClient(client *lab.Namespace) error {
	return client.Do(func() error {
		interfaces, err := net.Interfaces()
		if err != nil {
			return err
		}
		for _, i := range interfaces {
			if len(i.HardwareAddr) == len(setting.MAC{}) && i.Flags&net.FlagLoopback == 0 {
				d.config.Named = []config.Device{{Name: "client",
					MAC: []setting.MAC{setting.MAC(i.HardwareAddr)}}}
			}
		}
		return nil
	})
}

// observe runs the probe while traffic flows, and returns what the router has forwarded. All of
// that is in the database, or late.
func (d *demonstration) observe(
	ctx context.Context, router *demo.Router, stdout io.Writer,
) (map[lab.Class]lab.Count, error) {
	router.Start(ctx, demo.Config(string(d.config.Collector.Address)), version, d.stderr)
	reader, err := openReader(ctx, d.path)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	if err := d.await(ctx, func() (bool, error) {
		rows, err := reader.Exporters(ctx, d.span())
		return len(rows) > 0, err
	}); err != nil {
		return nil, fmt.Errorf("the first record: %w", err)
	}
	fmt.Fprint(stdout, demoStory)
	if err := router.Traffic(ctx); err != nil {
		return nil, err
	}
	forwarded, err := router.Settle(ctx)
	if err != nil {
		return nil, demo.Explain(ctx, err)
	}
	if err := router.Stop(); err != nil {
		return nil, err
	}
	late, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err = d.await(late, func() (bool, error) {
		rows, err := reader.Devices(ctx, d.span())
		return sum(rows) == total(forwarded), err
	})
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = nil // the comparison shows what is missing
	}
	return forwarded, err
}

// await asks until the answer is yes.
func (d *demonstration) await(ctx context.Context, ask func() (bool, error)) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		if yes, err := ask(); yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// span is the time of the demonstration, in whole hours.
func (d *demonstration) span() store.Span {
	return store.Span{From: report.WholeHour(d.calendar, d.began),
		To: report.WholeHour(d.calendar, d.began.Add(2*demo.Timeout+time.Hour))}
}

// sum is what devices moved in both directions.
func sum(rows []store.DeviceRow) (n lab.Count) {
	for i := range rows {
		n = plus(n, rows[i].Usage)
	}
	return n
}

// plus adds what moved in both directions.
func plus(n lab.Count, u usage.Usage) lab.Count {
	u.WAN.Add(u.LAN)
	n.Packets += u.WAN.UpPackets + u.WAN.DownPackets
	n.Bytes += u.WAN.UpBytes + u.WAN.DownBytes
	return n
}

func total(classes map[lab.Class]lab.Count) (n lab.Count) {
	for _, c := range classes {
		n.Packets += c.Packets
		n.Bytes += c.Bytes
	}
	return n
}

// reports prints what `report` would.
func (d *demonstration) reports(ctx context.Context, from *store.Reader, stdout io.Writer) error {
	for _, by := range []report.By{report.Device, report.Destination} {
		q := report.Query{By: by, From: d.span().From, To: d.span().To}
		if by == report.Destination {
			q.From, q.To = report.WholeDays(d.calendar, q.From, q.To)
		}
		r, err := report.Build(ctx, from, d.calendar, q, d.ended)
		if err != nil {
			return err
		}
		if err := r.Text(report.Page{Out: stdout, Columns: terminal.Columns(stdout)}); err != nil {
			return err
		}
		fmt.Fprintln(stdout)
	}
	return nil
}

// errTotalsDiffer is the demonstration's failure.
var errTotalsDiffer = errors.New("the totals differ")

// compare prints the totals by protocol, as nftables and destinations have them, and returns
// errTotalsDiffer unless all agree.
func (d *demonstration) compare(
	ctx context.Context, from *store.Reader, forwarded map[lab.Class]lab.Count, stdout io.Writer,
) error {
	kept := map[lab.Class]lab.Count{}
	span := d.span()
	span.From, span.To = report.WholeDays(d.calendar, span.From, span.To)
	err := from.EachDestination(ctx, span, func(row *store.DestinationRow) error {
		class := lab.Class{Family: unix.AF_INET, Proto: row.Protocol}
		if row.Remote.Is6() {
			class.Family = unix.AF_INET6
		}
		kept[class] = plus(kept[class], row.Usage)
		return nil
	})
	if err != nil {
		return err
	}
	tw := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "\tnftables ON THE ROUTER\t\tconntally-history\t\t\t\n")
	fmt.Fprint(tw, "\tpackets\tbytes\tpackets\tbytes\t\t\n")
	for _, class := range demo.Classes(forwarded) {
		f, k := forwarded[class], kept[class]
		verdict := "equal"
		if f != k {
			verdict, err = "DIFFERENT", errTotalsDiffer
		}
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%s\t\n", demo.ClassName(class), f.Packets, f.Bytes,
			k.Packets, k.Bytes, verdict)
	}
	if total(kept) != total(forwarded) {
		err = errTotalsDiffer
	}
	if err = errors.Join(tw.Flush(), err); err == nil {
		_, err = fmt.Fprintln(stdout, "\nEvery packet and byte is accounted for.")
	}
	return err
}

// page serves the page until Enter, if there is a terminal.
func (d *demonstration) page(ctx context.Context, address string, stdout io.Writer) error {
	if terminal.Of(os.Stdin) == nil || terminal.Of(stdout) == nil {
		return nil
	}
	d.config.Web.Enable = true
	if err := d.config.Web.Listen.UnmarshalText([]byte(address)); err != nil {
		return command.UsageError("demo: --web %s: %w", address, err)
	}
	d.config.Collector.Address = "127.0.0.1:0" // that of a service may be in use
	history, err := d.start(ctx, func(fn func() error) error { return fn() })
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nThe page is at http://%s until you press Enter.\n", address)
	enter := make(chan struct{})
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		close(enter)
	}()
	select {
	case <-enter:
	case <-ctx.Done():
	case err := <-history.stopped:
		return err
	}
	return history.end()
}

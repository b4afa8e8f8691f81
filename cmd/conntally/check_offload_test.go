package main

import (
	"context"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/conntally/check"
)

const silentFlowtable = `table inet fast {
	flowtable f { hook ingress priority 0; devices = { lan0, wan0 }; }
	chain c { type filter hook forward priority 0; meta l4proto tcp flow add @f; }
}`

// TestCheckFlowtable has a connection forwarded past the counters.
func TestCheckFlowtable(t *testing.T) {
	r := newCheckedRig(t)
	r.nftOrSkip(silentFlowtable)
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	conn, err := r.TCP(ctx, lab.TCPFlow{Family: unix.AF_INET, Up: 1000, Down: 20000, End: lab.Open})
	if err != nil {
		t.Fatal(err)
	}
	traffic := new(errgroup.Group)
	traffic.Go(func() error {
		for ctx.Err() == nil {
			if err := conn.Send(ctx, 100, 1000); err != nil && ctx.Err() == nil {
				return err
			}
		}
		return nil
	})
	found := r.check(r.Router, "offload")
	r.want(found, check.Fail, "fast f: flowtable without counter")
	r.fix(r.Router, found)
	r.want(r.check(r.Router, "offload"), check.OK, "1 connection is offloaded, and counted")
	cancel()
	if err := traffic.Wait(); err != nil {
		t.Error(err)
	}
	r.want(r.check(r.Router, "offload"), check.Warn,
		"the counters of offloaded connections don't change")
}

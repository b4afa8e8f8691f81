package main

import (
	"context"
	"flag"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/export/decode"
)

var late = flag.Duration("late", 5*time.Second,
	"how late TestCollectorThatStartsLater starts its collectors")

// templatesWithin is how soon a collector that had refused datagrams gets the templates,
// and a little more.
const templatesWithin = 12 * time.Second

// TestCollectorThatStartsLater starts collectors late, kills them and starts them again. Each
// time they can decode everything soon after, and another collector misses nothing.
func TestCollectorThatStartsLater(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"net/netfilter/nf_conntrack_udp_timeout": "1"})
	r.ctx = context.Background()
	s := r.sink()
	collectors := []collector{
		{name: "goflow2", address: address(2031), protocol: "netflow9"},
		{name: "goflow2", address: address(2032), protocol: "ipfix"},
	}
	p := r.probe("--config", r.config(s, collectors))
	stopTraffic := r.constantTraffic()

	time.Sleep(*late)
	for _, life := range []string{"the first life", "the second"} {
		lives := []collector{r.goflow2("netflow9", 2031), r.goflow2("ipfix", 2032)}
		time.Sleep(templatesWithin)
		from := len(s.now())
		time.Sleep(5 * time.Second)
		window := s.now()[from:]
		for i, port := range []int{2031, 2032} {
			r.untilRead(port)
			missed := missing(fromDecode(window), lives[i].read(0))
			if len(window) == 0 || missed > 0 {
				t.Errorf("%s by %s: %d of %d records missed from %v after the start on", life,
					lives[i].protocol, missed, len(window), templatesWithin)
			}
		}
		time.Sleep(3 * time.Second) // or nothing shows that they were away
		t.Logf("%s: %d records in 5 s", life, len(window))
	}
	stopTraffic()
	r.stop(p)
	if got, want := sumFlows(s.all())[udp4()], r.forwarded(udp4()); got != want {
		t.Errorf("the collector beside them has %v, forwarded were %v", got, want)
	}
}

// now returns what has arrived so far.
func (s *sink) now() []decode.Flow {
	return s.until("nothing", func([]decode.Flow) bool { return true })
}

// missing counts the records that are not among those that a collector has.
func missing(want, got []record) (n int) {
	has := map[record]bool{}
	for _, r := range got {
		has[r] = true
	}
	for _, r := range want {
		if !has[r] {
			n++
		}
	}
	return n
}

// constantTraffic sends a datagram of a new flow each 50 ms until stop is called.
func (r *rig) constantTraffic() (stop func()) {
	ctx, cancel := context.WithCancel(r.ctx)
	done := make(chan error, 1)
	go func() {
		var err error
		for err == nil && ctx.Err() == nil {
			err = r.UDP(r.ctx, lab.UDPFlow{Family: unix.AF_INET, Packets: 1, Size: 64})
			time.Sleep(50 * time.Millisecond)
		}
		done <- err
	}()
	return func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Fatal(err)
		}
	}
}

package export

import (
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

var _ flow.Sink = (*Exporter)(nil)

// TestTwoCollectors proves that both get the same records, each in its own protocol.
func TestTwoCollectors(t *testing.T) {
	clock := newFakeClock()
	e := &Exporter{}
	var listeners []*listener
	for _, p := range protocols {
		l := listen4(t)
		listeners = append(listeners, l)
		e.Collectors = append(e.Collectors, opened(t, p, l, clock))
	}
	var records []flow.Record
	for range 20 {
		records = append(records, samples(clock.at.Wall)...)
		for _, r := range records[len(records)-templateCount:] {
			exportAllNow(e, &r)
		}
		drive(t, e, clock, 400*time.Millisecond)
	}
	e.Close(clock.now())
	for i, p := range protocols {
		messages := listeners[i].receiveAll(t, e.Collectors[i])
		sameFlows(t, flowsIn(t, messages), wantFlows(p, uint32(p), records))
	}
}

// TestClose proves that Close sends pending records, and that later ones are dropped and counted.
func TestClose(t *testing.T) {
	clock, l := newFakeClock(), listen4(t)
	c := opened(t, IPFIX, l, clock)
	e := &Exporter{Collectors: []*Collector{c}}
	r := sample(0, present)
	exportAllNow(e, &r)
	if c.Stats.Messages.Load() != 0 {
		t.Fatal("a record left at once")
	}
	e.Close(clock.now())
	if flows := flowsIn(t, l.receiveAll(t, c)); len(flows) != 1 {
		t.Errorf("%d flows, want the one that was left", len(flows))
	}
	e.Close(clock.now())
	exportAllNow(e, &r)
	if n := c.Stats.Dropped.Load(); n != 1 || c.Stats.Messages.Load() != 1 {
		t.Errorf("after Close: %d unsent, %d messages", n, c.Stats.Messages.Load())
	}
}

// TestDueLatest proves that Due is never later than its argument.
func TestDueLatest(t *testing.T) {
	clock := newFakeClock()
	e := &Exporter{Collectors: []*Collector{
		opened(t, IPFIX, listen4(t), clock), opened(t, NetFlow9, listen4(t), clock),
	}}
	e.Tick(t.Context(), clock.now())
	for _, latest := range []time.Duration{1, 10 * time.Second, DefaultTemplateInterval} {
		if due := e.Due(int64(latest)); due != int64(latest) {
			t.Errorf("due at %v, want %v", time.Duration(due), latest)
		}
	}
	if due := (&Exporter{}).Due(42); due != 42 {
		t.Errorf("without collectors due at %d", due)
	}
}

func TestOwns(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(at, func(t *testing.T) {
			clock, l := newFakeClock(), listen(t, at)
			c := opened(t, IPFIX, l, clock)
			e := &Exporter{Collectors: []*Collector{opened(t, NetFlow9, listen4(t), clock), c}}
			r := sample(0, present)
			exportNow(c, &r)
			c.send(clock.now())
			_, from := l.receive(t)
			own := conntrack.Tuple{
				Src: conntrack.AddrFrom(from.Addr()), SrcPort: from.Port(),
				Proto: conntrack.ProtoUDP,
				Dst:   conntrack.AddrFrom(l.address().Addr()), DstPort: l.address().Port(),
			}
			if !e.Owns(&own) {
				t.Errorf("%+v isn't its own", own)
			}
			for name, other := range strangers(own) {
				if e.Owns(&other) {
					t.Errorf("%s is taken for its own", name)
				}
			}
			e.Close(clock.now())
			if e.Owns(&own) {
				t.Error("own after Close")
			}
		})
	}
}

// strangers returns connections that differ from own in one value.
func strangers(own conntrack.Tuple) map[string]conntrack.Tuple {
	change := map[string]func(*conntrack.Tuple){
		"another source port":      func(o *conntrack.Tuple) { o.SrcPort ^= 1 },
		"another destination port": func(o *conntrack.Tuple) { o.DstPort ^= 1 },
		"TCP":                      func(o *conntrack.Tuple) { o.Proto = conntrack.ProtoTCP },
		"another source":           func(o *conntrack.Tuple) { o.Src[15] ^= 2 },
		"another destination":      func(o *conntrack.Tuple) { o.Dst[15] ^= 2 },
		"the reply":                func(o *conntrack.Tuple) { *o = reversed(*o) },
		"the other family": func(o *conntrack.Tuple) {
			o.Src, o.Dst = address("2001:db8::1"), address("2001:db8::2")
		},
		"nothing": func(o *conntrack.Tuple) { *o = conntrack.Tuple{} },
	}
	all := make(map[string]conntrack.Tuple)
	for name, f := range change {
		other := own
		f(&other)
		all[name] = other
	}
	return all
}

func reversed(o conntrack.Tuple) conntrack.Tuple {
	o.Src, o.Dst, o.SrcPort, o.DstPort = o.Dst, o.Src, o.DstPort, o.SrcPort
	return o
}

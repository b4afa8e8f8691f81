package probe

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/export"
)

// TestOwnsConnectionsOfPreviousRun: another program may export to the same collector from
// another port. Only entries that a first dump shows from before this run are taken for
// connections of the previous run.
func TestOwnsConnectionsOfPreviousRun(t *testing.T) {
	at, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	clock := conntracktest.New().Clock()
	c := export.NewCollector(export.CollectorConfig{Address: at.LocalAddr().String()}, clock)
	if err := c.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := clock().Wall
	p := &Probe{began: began, exporter: &export.Exporter{Collectors: []*export.Collector{c}}}
	e := &conntrack.Event{Orig: faultTuple()}
	loopback := conntrack.AddrFrom(netip.MustParseAddr("127.0.0.1"))
	e.Orig.Src, e.Orig.Dst = loopback, loopback
	e.Orig.DstPort = at.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	for _, c := range []struct {
		name   string
		start  int64
		dumped int64
		want   bool
	}{
		{"started before this run", began - int64(time.Hour), 0, true},
		{"started before, after the first dump", began - int64(time.Hour), 1, false},
		{"started in this run", began + 1, 0, false},
		{"without a start time", 0, 0, false},
	} {
		e.Start = c.start
		p.Stats.Dumped.Store(c.dumped)
		if got := p.owns(e); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestNilCheckpointerDoesNothing: without a state file there is no checkpointer.
func TestNilCheckpointerDoesNothing(*testing.T) {
	var c *checkpointer
	c.write()
	c.compact()
	c.close()
}

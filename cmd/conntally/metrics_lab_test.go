package main

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/conntally/monitor/monitortest"
	"github.com/conntally/conntally/export/decode"
)

// counting is a collector in the router that counts what it receives.
type counting struct {
	conn *net.UDPConn

	mu      sync.Mutex
	decoder *decode.Decoder
	octets  uint64
}

func (r *faultRig) counting() *counting {
	r.t.Helper()
	t := &counting{decoder: decode.New(decode.Options{})}
	err := r.Router.Do(func() (err error) {
		t.conn, err = net.ListenUDP("udp",
			net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { t.conn.Close() })
	enlarge(r.t, t.conn)
	go t.receive()
	return t
}

func (t *counting) receive() {
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := t.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		t.mu.Lock()
		t.octets += uint64(n)
		_, _ = t.decoder.Decode(buffer[:n], from) // what is wrong is counted
		t.mu.Unlock()
	}
}

// exported is what a collector was sent.
type exported struct{ datagrams, records, octets, flows float64 }

func (t *counting) received() exported {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.decoder.Counters()
	return exported{float64(c.Datagrams), float64(c.Flows + c.OptionRecords), float64(t.octets),
		float64(c.Flows)}
}

// reported returns the metrics of the collector.
func (t *counting) reported(f monitortest.Families) (e exported) {
	to := t.conn.LocalAddr().String()
	e.datagrams, _ = f.Value("conntally_export_datagrams_total", to)
	e.records, _ = f.Value("conntally_export_records_total", to)
	e.octets, _ = f.Value("conntally_export_bytes_total", to)
	e.flows, _ = f.Value("conntally_export_flow_records_total", to)
	return e
}

// families reads the metrics, which must be flawless.
func (r *faultRig) families() monitortest.Families {
	r.t.Helper()
	f, err := monitortest.Parse(r.page())
	if err == nil {
		err = f.Lint()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}

// TestMetricsAgreeWithFlows scrapes while a storm goes on. In the end the metrics and each of
// two collectors have counted the same.
func TestMetricsAgreeWithFlows(t *testing.T) {
	t.Parallel()
	r := newFaultRig(t, map[string]string{
		"net/netfilter/nf_conntrack_acct": "1", "net/netfilter/nf_conntrack_timestamp": "1",
		"net/netfilter/nf_conntrack_events":      "1",
		"net/netfilter/nf_conntrack_udp_timeout": "2",
	})
	ipfix, v9 := r.counting(), r.counting()
	text := fmt.Sprintf("[metrics]\nlisten = %q\n[flow]\nextra_fields = [\"source_mac\"]\n"+
		"[conntrack]\npoll_interval = \"500ms\"\n[[collector]]\naddress = %q\n[[collector]]\n"+
		"address = %q\nprotocol = \"netflow9\"\n",
		faultMetrics, ipfix.conn.LocalAddr(), v9.conn.LocalAddr())
	path := configFile(t, text)
	p := r.probe("--config", path)

	var g errgroup.Group
	done := make(chan struct{})
	g.Go(func() error { defer close(done); r.flood(30_000, 10_000); return nil })
	g.Go(func() error {
		_, err := r.TCP(r.ctx, lab.TCPFlow{Family: unix.AF_INET, Down: 1 << 20})
		return err
	})
	scrapes := 0
	for busy := true; busy; scrapes++ {
		r.families()
		select {
		case <-done:
			busy = false
		default:
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := r.Router.Flush(); err != nil { // a closed connection would rest for two minutes
		t.Fatal(err)
	}
	m := r.untilMetrics(p, "the end of all flows",
		func(m metrics) bool { return m.events() >= r.sent && m["flows"] == 0 })
	for _, c := range []*counting{ipfix, v9} {
		r.agrees(c, m["conntrack_dropped_events_total"])
	}
	if hosts, _ := r.families().Value("conntally_neighbours"); hosts == 0 {
		t.Error("no neighbour is counted")
	}
	t.Logf("%d pages under load; IPFIX %+v, NetFlow v9 %+v; %v events dropped", scrapes,
		ipfix.received(), v9.received(), m["conntrack_dropped_events_total"])
	r.stop(p)
}

// agrees waits until the metrics report what a collector has received, which is all records
// that were made: those of all flows whose end the kernel did not drop.
func (r *faultRig) agrees(c *counting, dropped float64) {
	r.t.Helper()
	reported, received, made := exported{}, exported{}, -1.0
	for ; reported != received || reported.flows != made; time.Sleep(10 * time.Millisecond) {
		if r.ctx.Err() != nil {
			r.t.Fatalf("the metrics report %+v of %v records, the collector received %+v", reported,
				made, received)
		}
		f := r.families()
		reported, received = c.reported(f), c.received()
		made, _ = f.Value("conntally_records_total")
	}
	if made+dropped < float64(r.sent) {
		r.t.Errorf("%v records of %d flows, of which the kernel dropped %v", made, r.sent, dropped)
	}
}

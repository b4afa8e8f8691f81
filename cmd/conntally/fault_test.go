package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	ct "github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/conntally/monitor/monitortest"
	"github.com/conntally/conntally/export/decode"
)

const (
	faultMetrics = "127.0.0.1:9469" // each router has its own
	faultSize    = 72
	faultBytes   = faultSize + 28 // of a flow of the flood
)

// faultRig is a rig in which all that conntrack knows is what the test sends: the
// export and the metrics are not tracked, so that events can be counted.
type faultRig struct {
	*rig
	sent int // flows of the flood
}

func newFaultRig(t *testing.T, sysctls map[string]string) *faultRig {
	t.Helper()
	r := &faultRig{rig: newRig(t, sysctls)}
	cmd := exec.Command(need(t, "nft"), "-f", "-")
	cmd.Stdin = strings.NewReader(`table inet quiet {
		chain output { type filter hook output priority raw; oifname "lo" notrack; }
	}`)
	if err := r.Router.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return r
}

// bigSink is a sink with room for all records of a storm.
func (r *faultRig) bigSink() *sink {
	r.t.Helper()
	s := r.sink()
	enlarge(r.t, s.conn)
	return s
}

// enlarge gives a socket room for what arrives while its reader is busy.
func enlarge(t *testing.T, conn *net.UDPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 256<<20)
	})
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}

// faultProbe starts conntally with a section [conntrack] of the configuration.
func (r *faultRig) faultProbe(s *sink, section string) *process {
	r.t.Helper()
	text := fmt.Sprintf("[[collector]]\naddress = %q\n[metrics]\nlisten = %q\n[conntrack]\n%s",
		s.Address(), faultMetrics, section)
	path := configFile(r.t, text)
	return r.probe("--config", path)
}

// metrics is what a probe serves to Prometheus, without "conntally_"; what has
// labels is summed up.
type metrics map[string]float64

// scrape reads the probe's metrics.
func (r *faultRig) scrape() metrics { return r.scrapeAt(faultMetrics) }

// scrapeAt reads the metrics of one of several probes.
func (r *rig) scrapeAt(address string) metrics {
	r.t.Helper()
	families, err := monitortest.Parse(r.pageAt(address))
	if err != nil {
		r.t.Fatal(err)
	}
	m := metrics{}
	for name := range families {
		for _, v := range families.Values(name) {
			m[strings.TrimPrefix(name, "conntally_")] += v
		}
	}
	return m
}

// page is what the probe answers to Prometheus, from inside the router.
func (r *faultRig) page() []byte { return r.pageAt(faultMetrics) }

func (r *rig) pageAt(address string) []byte {
	r.t.Helper()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, network, address string) (conn net.Conn, err error) {
			err = r.Router.Do(func() (err error) {
				conn, err = net.Dial(network, address)
				return err
			})
			return conn, err
		},
	}}
	request, err := http.NewRequestWithContext(r.ctx, http.MethodGet, "http://"+address+"/metrics",
		nil)
	if err != nil {
		r.t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return page
}

func (m metrics) String() string {
	var b strings.Builder
	for _, name := range []string{
		"conntrack_destroys_total", "conntrack_dropped_events_total",
		"conntrack_repeated_events_total", "conntrack_dumps_total",
		"conntrack_failed_dumps_total",
		"conntrack_discarded_dumps_total", "conntrack_reopened_total", "conntrack_malformed_total",
		"conntrack_overruns_total",
		"flows", "flows_vanished_total", "flows_duplicate_total", "flows_stale_total",
		"flows_rewound_total", "flows_ignored_total",
		"flows_uncounted_total", "flows_full_total", "flows_baselined_total", "records_total",
		"export_records_total",
		"export_unsent_records_total", "conntrack_receive_buffer_bytes",
		"conntrack_poll_interval_seconds",
	} {
		fmt.Fprintf(&b, "%s %v, ", name, m[name])
	}
	return strings.TrimSuffix(b.String(), ", ")
}

// events is how many ends the kernel has reported, lost ones included.
func (m metrics) events() int {
	return int(m["conntrack_destroys_total"] + m["conntrack_dropped_events_total"] +
		m["conntrack_repeated_events_total"])
}

// untilMetrics waits until the metrics satisfy enough, and returns them.
func (r *faultRig) untilMetrics(p *process, what string, enough func(metrics) bool) metrics {
	r.t.Helper()
	for {
		m := r.scrape()
		if enough(m) {
			return m
		}
		select {
		case err := <-p.exited:
			r.t.Fatalf("the probe ended (%v) before %s:\n%s", err, what, p)
		case <-r.ctx.Done():
			r.t.Fatalf("waited in vain for %s: %v\nof %d flows; entries left: %d\n%s", what, m,
				r.sent, r.entries(), p)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// entries returns the number of the router's conntrack entries, including dying ones.
func (r *faultRig) entries() int {
	r.t.Helper()
	text, err := r.Router.ReadSysctl("net/netfilter/nf_conntrack_count")
	if err != nil {
		r.t.Fatal(err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// flood sends new flows of one packet each.
func (r *faultRig) flood(flows, rate int) {
	r.t.Helper()
	err := r.Flood(r.ctx, lab.FloodFlow{Flows: flows, Rate: rate, Size: faultSize, First: r.sent})
	if err != nil {
		r.t.Fatal(err)
	}
	r.sent += flows
}

// other is another program that reads the router's conntrack.
func (r *faultRig) other() *ct.Conn {
	r.t.Helper()
	conn, err := ct.Dial(&netlink.Config{NetNS: r.Router.FD()})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

// read dumps conntrack as another program.
func (r *faultRig) read(conn *ct.Conn) []ct.Flow {
	r.t.Helper()
	flows, err := conn.Dump(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return flows
}

// pause stops a process and waits until it stands still.
func (r *faultRig) pause(p *process) {
	r.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		r.t.Fatal(err)
	}
	for r.ctx.Err() == nil {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			r.t.Fatal(err)
		}
		if _, rest, _ := strings.Cut(string(b), ") "); strings.HasPrefix(rest, "T") {
			return
		}
		time.Sleep(time.Millisecond)
	}
	r.t.Fatal("the probe doesn't stop")
}

func (r *faultRig) resume(p *process) {
	r.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		r.t.Fatal(err)
	}
}

// arrivals compares what has arrived of the flood with what was sent. It returns how many
// flows are missing, and fails for those that came twice or were never sent.
func (r *faultRig) arrivals(flows []decode.Flow) (missing int) {
	r.t.Helper()
	count := make(map[netip.AddrPort]int, r.sent)
	wrong := 0
	for i := range flows {
		f := &flows[i]
		if f.Protocol != unix.IPPROTO_UDP || f.Src.Is6() || f.DstPort != lab.PortSilent {
			continue
		}
		count[netip.AddrPortFrom(f.Src, f.SrcPort)]++
		if f.Packets != 1 || f.Bytes != faultBytes {
			wrong++
		}
	}
	twice := 0
	for i := range r.sent {
		n := count[lab.FloodSource(i)]
		if n == 0 {
			missing++
		}
		twice += max(n-1, 0)
		delete(count, lab.FloodSource(i))
	}
	if wrong+twice+len(count) > 0 {
		r.t.Errorf("%d records that are not of one packet, %d flows came again, %d never were",
			wrong, twice, len(count))
	}
	return missing
}

// reached compares what the probe has sent with what has arrived: a record that the collector
// itself lost would look like one that was never exported.
func (r *faultRig) reached(m metrics, flows []decode.Flow) {
	r.t.Helper()
	if m["export_unsent_records_total"] != 0 || int(m["records_total"]) != len(flows) {
		r.t.Errorf("%v records made, %v not sent, %d arrived", m["records_total"],
			m["export_unsent_records_total"], len(flows))
	}
}

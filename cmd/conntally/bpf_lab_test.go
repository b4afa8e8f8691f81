package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/control"
	"github.com/conntally/conntally/export/decode"
)

// bpfConfig returns the path of a configuration whose collector is s, which any user may read, in
// a directory of nobody's, and that directory.
func (r *rig) bpfConfig(source string, s *sink, more ...string) (file, directory string) {
	r.t.Helper()
	directory = r.ownedDirectory(nobody)
	file = filepath.Join(directory, "conntally.toml")
	text := collectorSection(s.Address()) + fmt.Sprintf(
		"[conntrack]\nsource = %q\nmax_cpu = 100.0\npoll_interval = \"2s\"\n"+
			"[control]\nsocket = %q\n", source, filepath.Join(directory, "control.sock"))
	text += strings.Join(more, "")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
	return file, directory
}

// bpfTraffic moves packets of each protocol in connections short and long, and returns how many
// were forwarded.
func (r *rig) bpfTraffic() lab.Count {
	r.t.Helper()
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		for _, end := range []lab.End{lab.FIN, lab.RST, lab.Open} {
			_, err := r.TCP(r.ctx, lab.TCPFlow{Family: family, Up: 3000, Down: 50_000, End: end})
			if err != nil {
				r.t.Fatal(err)
			}
		}
		udp := lab.UDPFlow{Family: family, Packets: 5, Size: 100, Answered: true}
		if err := r.UDP(r.ctx, udp); err != nil {
			r.t.Fatal(err)
		}
		if err := r.Echo(r.ctx, lab.EchoFlow{Family: family, Packets: 2, Size: 56}); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := r.Flood(r.ctx, lab.FloodFlow{Flows: 1000, Size: 50}); err != nil {
		r.t.Fatal(err)
	}
	time.Sleep(4 * time.Second) // for the flood's entries to expire, and polls to meet that
	return r.settledTotal()
}

// settledTotal returns what the router forwarded, once no packet is under way.
func (r *rig) settledTotal() (total lab.Count) {
	r.t.Helper()
	all, err := r.Settle(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, c := range all {
		total.Packets, total.Bytes = total.Packets+c.Packets, total.Bytes+c.Bytes
	}
	return total
}

// runBPF runs the program with the rights that eBPF takes, as nobody, until it reads connections.
func (r *rig) runBPF(source string, s *sink, more ...string) *process {
	r.t.Helper()
	config, _ := r.bpfConfig(source, s, more...)
	p := r.run(asNobody(r.t, ",+net_admin,+bpf,+perfmon,+sys_admin", "run", "--config", config))
	p.says("reading conntrack")
	return p
}

// statusOf returns a key of /proc/PID/task/*/status, of each thread of a process.
func statusOf(t *testing.T, pid int, key string) (values []string) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range threads {
		status, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		for line := range strings.Lines(string(status)) {
			if rest, found := strings.CutPrefix(line, key+":"); found {
				values = append(values, strings.TrimSpace(rest))
			}
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// hasEvents checks nf_conntrack_events.
func (r *rig) hasEvents(want string) {
	r.t.Helper()
	if got, err := r.Router.ReadSysctl(events); err != nil || got != want {
		r.t.Errorf("%s is %q, want %s: %v", events, got, want, err)
	}
}

const (
	netAdmin  = "0000000000001000" // CAP_NET_ADMIN alone
	udpExpiry = "net/netfilter/nf_conntrack_udp_timeout"
	events    = "net/netfilter/nf_conntrack_events"
)

// TestBPFCountsEveryByteOnce: of each protocol, at 1000 ends, and with CAP_NET_ADMIN alone once the
// program is loaded. The kernel prepares no events for that.
func TestBPFCountsEveryByteOnce(t *testing.T) {
	r := newRig(t, map[string]string{udpExpiry: "1", events: "2"})
	s := r.sink()
	p := r.runBPF("auto", s)
	needsBPF(t, p)
	for key, want := range map[string]string{
		"CapEff": netAdmin, "CapPrm": netAdmin, "CapInh": netAdmin, "CapAmb": netAdmin,
		"NoNewPrivs": "1",
	} {
		if got := statusOf(t, p.cmd.Process.Pid, key); !slices.Equal(got, []string{want}) {
			t.Errorf("%s of the threads is %s, want %s", key, got, want)
		}
	}
	r.hasEvents("2")
	want := r.bpfTraffic()
	r.stop(p)
	if got := sum(s.all()); got != want {
		t.Errorf("counted %v, the router forwarded %v", got, want)
	}
	for _, part := range []string{"ends of connections are read by eBPF",
		"living connections are read by eBPF", `"lost_events": 0`} {
		if !strings.Contains(p.String(), part) {
			t.Errorf("the log lacks %q:\n%s", part, p)
		}
	}
}

// TestBPFTakesAtMost8MBMore: of memory than netlink, a minute after the program is loaded.
func TestBPFTakesAtMost8MBMore(t *testing.T) {
	var rss [2]float64
	for i, source := range []string{"netlink", "bpf"} {
		r := newRig(t, map[string]string{udpExpiry: "1"})
		s := r.sink()
		p := r.runBPF(source, s)
		if source == "bpf" {
			needsBPF(t, p)
		}
		r.bpfTraffic()
		rss[i] = r.rss(p)
		// What the traffic touched of the program is given back within a minute.
		for source == "bpf" && rss[1] > rss[0]+8 {
			if r.ctx.Err() != nil {
				t.Fatalf("%.1f MB by eBPF, %.1f by netlink", rss[1], rss[0])
			}
			time.Sleep(time.Second)
			rss[i] = r.rss(p)
		}
		r.stop(p)
	}
	t.Logf("%.1f MB by netlink, %.1f by eBPF", rss[0], rss[1])
}

// rss returns the resident memory of a process, in MB.
func (r *rig) rss(p *process) float64 {
	r.t.Helper()
	kB := 0
	for _, line := range statusOf(r.t, p.cmd.Process.Pid, "VmRSS") {
		if _, err := fmt.Sscanf(line, "%d kB", &kB); err != nil {
			r.t.Fatal(err)
		}
	}
	return megabytes(kB)
}

// needsBPF skips the test if p runs on a kernel without.
func needsBPF(t *testing.T, p *process) {
	t.Helper()
	if !strings.Contains(p.String(), "eBPF can't be had") {
		return
	}
	if os.Getenv("CONNTALLY_BPF") == "need" {
		t.Fatal(p)
	}
	t.Skipf("this kernel has no eBPF: %s", p)
}

// TestBPFCountsHeldConnections: connections whose memory the kernel keeps for others' sake end late,
// those that a poll has seen and those that none has.
func TestBPFCountsHeldConnections(t *testing.T) {
	r := newRig(t, map[string]string{udpExpiry: "600"})
	s := r.sink()
	p := r.runBPF("bpf", s)
	needsBPF(t, p)
	for _, polls := range []time.Duration{0, 2, 2} { // until they are orphaned
		for range 10 {
			err := r.UDP(r.ctx, lab.UDPFlow{
				Family: unix.AF_INET, Packets: 3, Size: 100, Answered: true,
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(polls * 2 * time.Second)
		if n := labtest.Orphan(t, r.Router); n < 10 {
			t.Errorf("%d orphans", n)
		}
	}
	time.Sleep(20 * time.Second) // ten polls
	want := r.settledTotal()
	if err := r.Router.Flush(); err != nil {
		t.Fatal(err)
	}
	r.stop(p)
	if got := sum(s.all()); got != want {
		t.Errorf("counted %v, the router forwarded %v:\n%s", got, want, p)
	}
}

// TestBPFFallsBackToNetlink: without the capabilities for eBPF all bytes are counted, and the log,
// status, check and a condition say so.
func TestBPFFallsBackToNetlink(t *testing.T) {
	r := newRig(t, map[string]string{udpExpiry: "1", events: "2"})
	s := r.sink()
	config, directory := r.bpfConfig("bpf", s)
	p := r.run(asNobody(t, ",+net_admin", "run", "--config", config))
	p.says("reading conntrack")
	r.hasEvents("1")
	var status control.Status
	r.output(&status, "RUNTIME_DIRECTORY="+directory, "status", "--json")
	if status.Source != "netlink" || status.SourceStep != "" || status.SourceReason == "" ||
		!holds(status.Conditions, condition.SourceFellBack) {
		t.Errorf("%+v", status)
	}
	want := r.bpfTraffic()
	r.stop(p)
	if got := sum(s.all()); got != want {
		t.Errorf("counted %v, the router forwarded %v", got, want)
	}
	if !strings.Contains(p.String(), "ends of connections are read by netlink") {
		t.Errorf("the log doesn't say so:\n%s", p)
	}
	var out bytes.Buffer
	cmd := asNobody(t, ",+net_admin", "check", "--config", config)
	cmd.Stdout = &out
	if err := r.Router.Start(cmd); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // other lines may have failed
	if !strings.Contains(out.String(), "warn  source") {
		t.Errorf("check says\n%s", &out)
	}
}

// TestBPFRecordsShowHowPacketsWent: where routes don't tell, and without route_mark.
func TestBPFRecordsShowHowPacketsWent(t *testing.T) {
	need := os.Getenv("CONNTALLY_BPF") == "need"
	r := newRig(t, nil)
	s := r.sink()
	p := r.runBPF("bpf", s,
		"[flow]\nextra_fields = [\"mac\"]\nidle_timeout = \"10m\"\nactive_timeout = \"10m\"\n")
	needsBPF(t, p)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p)
		}
	})
	ways := labtest.Ways(t, r.Lab, need)
	if err := r.Router.Flush(); err != nil {
		t.Fatal(err)
	}
	records := map[uint16]decode.Flow{}
	s.until("records of all ways", func(flows []decode.Flow) bool {
		for i := range flows {
			records[flows[i].DstPort] = flows[i]
		}
		return !slices.ContainsFunc(ways, func(way labtest.Way) bool {
			_, found := records[way.Port]
			return !found
		})
	})
	r.stop(p)
	for _, way := range ways {
		f := records[way.Port]
		got := labtest.Way{
			Name: way.Name, Port: f.DstPort, Input: f.Input, Output: f.Output, ToS: f.ToS,
			MAC: f.SrcMAC,
		}
		if got != way {
			t.Errorf("got  %+v\nwant %+v", got, way)
		}
	}
}

func holds(list []condition.Condition, id condition.ID) bool {
	for i := range list {
		if list[i].ID == id {
			return true
		}
	}
	return false
}

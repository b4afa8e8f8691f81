package kernel_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/kernel"
)

// TestRealTrack runs where no rule enables tracking.
func TestRealTrack(t *testing.T) {
	labtest.EnterNamespace(t)
	for range 2 {
		isTracking(t, false)
		track, err := kernel.Track()
		must(t, err)
		isTracking(t, true)
		if second, err := kernel.Track(); err == nil {
			second.Close()
			t.Error("a second Track took the first one's table")
		}
		isTracking(t, true)
		must(t, track.Close())
	}
	isTracking(t, false)
}

// TestRealTrackBesideRule proves that Track also works where an administrator has added
// TrackRule, or another process has called Track.
func TestRealTrackBesideRule(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("nft is not installed: make tools")
	}
	labtest.EnterNamespace(t)
	must(t, exec.Command("sh", "-c", kernel.TrackRule).Run())
	track, err := kernel.Track()
	must(t, err)
	isTracking(t, true)
	must(t, track.Close())
	isTracking(t, true)
}

// TestRealReportsEnds proves that an end is reported where events are on, and not where they are
// off.
func TestRealReportsEnds(t *testing.T) {
	labtest.EnterNamespace(t)
	if _, err := kernel.ReportsEnds(); !errors.Is(err, kernel.ErrNotTracked) {
		t.Errorf("where nothing is tracked: %v", err)
	}
	track, err := kernel.Track()
	must(t, err)
	for _, events := range []string{"1", "0", "2"} {
		write(t, "events", events)
		got, err := kernel.ReportsEnds()
		if must(t, err); got != (events != "0") {
			t.Errorf("nf_conntrack_events is %s: reported %v", events, got)
		}
	}
	if n, err := kernel.ReadSysctl("count"); err != nil || n != 0 {
		t.Errorf("%d entries are left: %v", n, err)
	}
	must(t, track.Close())
}

func isTracking(t *testing.T, want bool) {
	t.Helper()
	got, err := kernel.Tracking()
	must(t, err)
	if got != want {
		t.Errorf("tracking: %v, want %v", got, want)
	}
}

// TestRealEnable runs where no setting is on.
func TestRealEnable(t *testing.T) {
	labtest.EnterNamespace(t)
	for _, name := range []string{"acct", "timestamp", "events"} {
		write(t, name, "0")
	}
	for round := range 2 {
		settings := kernel.Settings(true)
		kernel.Enable(settings)
		for i, s := range settings {
			want := [...]string{"acct", "timestamp", "events"}[i]
			if s.Err != nil || s.Was != round || s.Changed() != (round == 0) ||
				s.Name != "net.netfilter.nf_conntrack_"+want {
				t.Errorf("round %d: %+v", round, s)
			}
			if now, err := kernel.ReadSysctl(want); err != nil || now != 1 {
				t.Errorf("%s is %d: %v", want, now, err)
			}
		}
	}
	write(t, "events", "2")
	settings := kernel.Settings(true)
	kernel.Enable(settings)
	must(t, settings[2].Undo())
	if now, err := kernel.ReadSysctl("events"); err != nil || now != 2 {
		t.Errorf("events is %d after Undo: %v", now, err)
	}
	if n := len(kernel.Settings(false)); n != 2 {
		t.Errorf("%d settings without events", n)
	}
	if _, err := kernel.ReadSysctl("of_no_kernel"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestSetting(t *testing.T) {
	s := kernel.Setting{Name: "net.netfilter.nf_conntrack_acct", Want: 1}
	if s.Command() != "sysctl -w net.netfilter.nf_conntrack_acct=1" || !s.Changed() {
		t.Errorf("%q, changed %v", s.Command(), s.Changed())
	}
	if s.Err = fs.ErrPermission; s.Changed() {
		t.Error("changed in spite of an error")
	}
}

// timeoutCases name the sysctl that is in force for each kind of entry.
var timeoutCases = []struct {
	sysctl string
	proto  uint8
	state  uint8
	status conntrack.Status
}{
	{"generic_timeout", 99, 0, 0},
	{"icmp_timeout", conntrack.ProtoICMP, 0, 0},
	{"icmpv6_timeout", conntrack.ProtoICMPv6, 0, 0},
	{"udp_timeout", conntrack.ProtoUDP, 0, conntrack.SeenReply},
	{"udp_timeout_stream", conntrack.ProtoUDP, 0, conntrack.Assured},
	{"udp_timeout_stream", conntrack.ProtoUDPLite, 0, conntrack.Assured},
	{"gre_timeout", conntrack.ProtoGRE, 0, 0},
	{"gre_timeout_stream", conntrack.ProtoGRE, 0, conntrack.Assured},
	{"tcp_timeout_syn_sent", conntrack.ProtoTCP, conntrack.TCPSynSent, 0},
	{"tcp_timeout_syn_recv", conntrack.ProtoTCP, conntrack.TCPSynRecv, 0},
	{"tcp_timeout_established", conntrack.ProtoTCP, conntrack.TCPEstablished, conntrack.Assured},
	{"tcp_timeout_fin_wait", conntrack.ProtoTCP, conntrack.TCPFinWait, 0},
	{"tcp_timeout_close_wait", conntrack.ProtoTCP, conntrack.TCPCloseWait, 0},
	{"tcp_timeout_last_ack", conntrack.ProtoTCP, conntrack.TCPLastAck, 0},
	{"tcp_timeout_time_wait", conntrack.ProtoTCP, conntrack.TCPTimeWait, 0},
	{"tcp_timeout_close", conntrack.ProtoTCP, conntrack.TCPClose, 0},
	{"tcp_timeout_syn_sent", conntrack.ProtoTCP, conntrack.TCPSynSent2, 0},
	{"sctp_timeout_closed", conntrack.ProtoSCTP, 1, 0},
	{"sctp_timeout_cookie_wait", conntrack.ProtoSCTP, 2, 0},
	{"sctp_timeout_cookie_echoed", conntrack.ProtoSCTP, 3, 0},
	{"sctp_timeout_established", conntrack.ProtoSCTP, 4, 0},
	{"sctp_timeout_shutdown_sent", conntrack.ProtoSCTP, 5, 0},
	{"sctp_timeout_shutdown_recd", conntrack.ProtoSCTP, 6, 0},
	{"sctp_timeout_shutdown_ack_sent", conntrack.ProtoSCTP, 7, 0},
	{"sctp_timeout_heartbeat_sent", conntrack.ProtoSCTP, 8, 0},
}

// TestRealTimeouts gives each sysctl a value of its own.
func TestRealTimeouts(t *testing.T) {
	labtest.EnterNamespace(t)
	set := map[string]time.Duration{}
	for i, c := range timeoutCases {
		if _, err := kernel.ReadSysctl(c.sysctl); err == nil {
			write(t, c.sysctl, strconv.Itoa(1000+i))
			set[c.sysctl] = time.Duration(1000+i) * time.Second
		}
	}
	if len(set) < 12 {
		t.Errorf("this kernel has only %v", set)
	}
	write(t, "tcp_timeout_unacknowledged", "2001")
	write(t, "tcp_timeout_max_retrans", "2002")
	timeouts := kernel.ReadTimeouts()
	for _, c := range timeoutCases {
		want := [3]time.Duration{set[c.sysctl]}
		if c.proto == conntrack.ProtoTCP {
			want[1], want[2] = 2001*time.Second, 2002*time.Second
		}
		e := conntrack.Event{
			Orig: conntrack.Tuple{Proto: c.proto}, State: c.state, Status: c.status,
		}
		if got := timeouts.Of(&e); got != want {
			t.Errorf("%s, protocol %d state %d: %v, want %v", c.sysctl, c.proto, c.state, got, want)
		}
	}
	for _, proto := range []uint8{conntrack.ProtoSCTP, conntrack.ProtoDCCP} {
		if got := timeouts.Of(
			&conntrack.Event{Orig: conntrack.Tuple{Proto: proto}, State: 255},
		); got != [3]time.Duration{} {
			t.Errorf("protocol %d state 255: %v", proto, got)
		}
	}
}

// write sets a sysctl of the calling thread's namespace.
func write(t *testing.T, name, value string) {
	t.Helper()
	must(t, os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_"+name, []byte(value), 0))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

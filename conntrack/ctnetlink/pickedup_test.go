package ctnetlink_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/conntrack"
)

func TestPickedUp(t *testing.T) {
	const (
		window  = conntrack.TCPWindowScale
		sack    = conntrack.TCPSACKPermitted
		liberal = conntrack.TCPBeLiberal
		others  = 0xf4
	)
	for _, c := range []struct {
		name  string
		proto uint8
		flags [2]conntrack.TCPFlags
		want  bool
	}{
		{"met in mid-stream", conntrack.ProtoTCP,
			[2]conntrack.TCPFlags{sack | liberal, sack | liberal}, true},
		{"met in mid-stream, later", conntrack.ProtoTCP,
			[2]conntrack.TCPFlags{sack | liberal | 0x20, sack | liberal | others}, true},
		{"opened", conntrack.ProtoTCP,
			[2]conntrack.TCPFlags{window | sack | 0x20, window | sack | 0x20}, false},
		{"opened, liberal since", conntrack.ProtoTCP,
			[2]conntrack.TCPFlags{window | sack | liberal, window | sack | liberal}, false},
		{"opened without options, liberal since", conntrack.ProtoTCP,
			[2]conntrack.TCPFlags{liberal, liberal}, false},
		{"only SYN sent", conntrack.ProtoTCP, [2]conntrack.TCPFlags{sack | liberal, 0}, false},
		{"not known", conntrack.ProtoTCP, [2]conntrack.TCPFlags{}, false},
		{"not TCP", conntrack.ProtoUDP, [2]conntrack.TCPFlags{sack | liberal, sack | liberal},
			false},
	} {
		e := conntrack.Event{Orig: conntrack.Tuple{Proto: c.proto}, TCPFlags: c.flags}
		if got := e.PickedUp(); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

// TestRealPickedUp flushes the kernel's table under open connections, with the kernel's
// liberal checking for all off and on.
func TestRealPickedUp(t *testing.T) {
	for _, liberal := range []string{"0", "1"} {
		r := newReal(t)
		must(t, r.Router.Sysctl("net/netfilter/nf_conntrack_tcp_be_liberal", liberal))
		var open []*lab.Conn
		for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
			c, err := r.TCP(r.ctx, lab.TCPFlow{Family: family, Up: 1000, Down: 1000, End: lab.Open})
			must(t, err)
			open = append(open, c)
		}
		r.wantPickedUp(len(open), false)
		must(t, r.oracle.Flush())
		for _, c := range open {
			must(t, c.Send(r.ctx, 100, 100))
		}
		r.wantPickedUp(len(open), true)
		for _, c := range open {
			must(t, c.Close())
		}
		r.wantPickedUp(len(open), true)
	}
}

// wantPickedUp wants n TCP connections, of which all or none are picked up.
func (r *realKernel) wantPickedUp(n int, want bool) {
	r.t.Helper()
	for _, e := range r.dump() {
		if e.Orig.Proto != conntrack.ProtoTCP {
			continue
		}
		if n--; e.PickedUp() != want {
			r.t.Errorf("picked up: %t, want %t: %+v", !want, want, e)
		}
	}
	if n != 0 {
		r.t.Errorf("%d connections are missing", n)
	}
}

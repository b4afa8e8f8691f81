package route

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// FuzzNotifications: any datagram is applied or counted, and the state can be used afterwards.
func FuzzNotifications(f *testing.F) {
	small := smallKernel()
	for _, objects := range small.objects {
		for _, o := range objects {
			f.Add(o)
		}
	}
	f.Add(routeMessage(unix.RTM_NEWROUTE, "10.0.0.0", 8, 4, 5))
	f.Add(encode(unix.RTM_NEWRULE, 0, 0, appendU32([]byte{0: unix.AF_INET, 2: 24, 11: 0},
		unix.FRA_SRC, 0x01020304)))
	f.Add(linkMessage(unix.RTM_NEWLINK, 20, "v",
		nested(unix.IFLA_LINKINFO, appendText(nil, unix.IFLA_INFO_KIND, "vlan"),
			nested(unix.IFLA_INFO_DATA, appendU32(nil, unix.IFLA_VLAN_ID, 7)))))
	out, self := connection{from: client, to: server}.event(),
		connection{from: "fe80::1", to: "ff02::1"}.event()
	f.Fuzz(func(t *testing.T, b []byte) {
		k := newKernel()
		l := &Resolver{options: Options{Clock: conntrack.SystemClock()},
			fib: newFIB(&requestSocket{kernel: k}, k.dial), cache: newCache()}
		w := &l.watcher
		w.state, w.stats, w.clock = newState(), &l.Stats, conntrack.SystemClock()
		w.take(b)
		w.take(b) // the second time it is known
		l.publish()
		for _, e := range []*conntrack.Event{out, self} {
			if p := l.Path(e); p[0].Index() == 0 && p[1].Index() == 0 {
				t.Errorf("no interface at all: %v", p)
			}
		}
		if n := len(w.state.policy.atoms.edges); n > 2*len(kernelClasses)+2*len(b) {
			t.Errorf("%d edges of %d bytes", n, len(b))
		}
	})
}

// FuzzAnswer: every look-up returns, whatever the kernel answers.
func FuzzAnswer(f *testing.F) {
	f.Add(encode(unix.RTM_NEWROUTE, 0, 1, appendU32([]byte{7: unix.RTN_UNICAST, 11: 0},
		unix.RTA_OIF, 4)))
	f.Add(encode(unix.NLMSG_ERROR, 0, 1, []byte{0xff, 0xff, 0xff, 0xff}))
	f.Add(encode(unix.NLMSG_DONE, unix.NLM_F_MULTI, 1, make([]byte, 4)))
	to := addr(server)
	f.Fuzz(func(t *testing.T, b []byte) {
		fib := newFIB(&scripted{answer: b}, newKernel().dial)
		if kind, out, _ := fib.lookUp(&query{to: &to}); kind == unknown || kind == unicast &&
			out == 0 {
			t.Errorf("kind %d by %d", kind, out)
		}
	})
}

// scripted gives the same answer to everything, once.
type scripted struct {
	answer []byte
	given  bool
}

func (s *scripted) Send([]byte) error { return nil }
func (s *scripted) Close() error      { return nil }

func (s *scripted) Recv(time.Duration) ([]byte, error) {
	if s.given {
		return nil, os.ErrDeadlineExceeded
	}
	s.given = true
	return s.answer, nil
}

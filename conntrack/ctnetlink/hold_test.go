package ctnetlink_test

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/conntrack/kernel"
)

// timedSocket measures the longest call of a socket, in CPU time of its thread: so long the kernel
// may have held the core.
type timedSocket struct {
	ctnetlink.Socket
	longest *time.Duration
}

func (s timedSocket) Send(b []byte) error {
	defer s.measure(kernel.ThreadCPU())
	return s.Socket.Send(b)
}

func (s timedSocket) Recv(wait time.Duration) ([]byte, error) {
	defer s.measure(kernel.ThreadCPU())
	return s.Socket.Recv(wait)
}

func (s timedSocket) measure(began time.Duration) {
	*s.longest = max(*s.longest, kernel.ThreadCPU()-began)
}

// TestAskingHoldsTheCoreForLessThanAWalk compares the longest calls of two readers of one sparse
// table, of which one always walks.
func TestAskingHoldsTheCoreForLessThanAWalk(t *testing.T) {
	r := newReal(t)
	if n, err := lab.Buckets(); err != nil || n < 1<<17 {
		t.Skipf("the kernel's table has %d buckets: a walk takes no time", n)
	}
	must(t, r.Router.Fill(0, 100))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var longest time.Duration
	dial := func(p ctnetlink.Purpose) (ctnetlink.Socket, error) {
		s, err := r.reader.Dial(p)
		return timedSocket{s, &longest}, err
	}
	open := func() *ctnetlink.Reader {
		var sockets [2]ctnetlink.Socket
		for i := range sockets {
			s, err := dial(ctnetlink.Dumps)
			must(t, err)
			sockets[i] = s
		}
		reader := ctnetlink.NewReader(sockets[0], sockets[1], conntrack.SystemClock())
		reader.Buckets = r.reader.Buckets
		t.Cleanup(func() { must(t, reader.Close()) })
		return reader
	}
	asks, walks := open(), open()
	asks.Dial = dial
	median := func(reader *ctnetlink.Reader) time.Duration {
		var all []time.Duration
		for range 11 {
			longest = 0
			must(t, reader.Dump(func(*conntrack.Event) {}))
			all = append(all, longest)
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	if asked, walked := median(asks), median(walks); 2*asked > walked {
		t.Errorf("the longest call takes %v, that of a walk %v", asked, walked)
	} else {
		t.Logf("the longest call takes %v, that of a walk %v", asked, walked)
	}
}

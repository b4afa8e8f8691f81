package probe

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/monitor"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// TestEarlyDumpsStayWithinMaxCPU: if events are lost all the time, dumps take no more CPU
// time than maxCPU allows.
func TestEarlyDumpsStayWithinMaxCPU(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cost, want time.Duration // of a dump, between two
	}{
		{time.Millisecond, time.Second},            // a tenth of the poll interval
		{50 * time.Millisecond, 5 * time.Second},   // 1 % of a core
		{500 * time.Millisecond, 50 * time.Second}, // stretched anyway
	} {
		p := newPacer(10*time.Second, 0.01, 1<<20, new(monitor.Probe))
		p.cost = c.cost
		p.begin(conntrack.Timestamp{Mono: 1})
		p.ended, p.next = 1, 1+int64(p.interval())
		p.advance()
		if got := time.Duration(p.next - p.ended); got != c.want {
			t.Errorf("a dump of %v is repeated after %v, want %v", c.cost, got, c.want)
		}
		p.next = p.ended
		if p.advance(); p.next != p.ended {
			t.Error("a dump that is due was postponed")
		}
	}
}

// TestReloadDoesNotPostponeEarlyDump: not even if it makes polls rarer.
func TestReloadDoesNotPostponeEarlyDump(t *testing.T) {
	t.Parallel()
	p := newPacer(10*time.Second, 0.01, 1<<20, new(monitor.Probe))
	p.begin(conntrack.Timestamp{Mono: 1})
	p.ended, p.next = 1, 1+int64(p.interval())
	p.advance()
	if p.reconfigure(time.Minute, 0.01); p.next != 1+int64(time.Second) {
		t.Errorf("postponed by %v", time.Duration(p.next-1))
	}
}

// TestPauseIsBounded: a process that was stopped for hours in the middle of a dump doesn't
// pause for hours.
func TestPauseIsBounded(t *testing.T) {
	t.Parallel()
	now := conntrack.Timestamp{Mono: 1}
	clock := func() conntrack.Timestamp { now.Mono += int64(time.Hour); return now }
	p := newPacer(time.Second, 1, 1<<20, new(monitor.Probe))
	p.begin(now)
	done := make(chan struct{})
	go func() { defer close(done); p.pause(clock) }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("still pausing")
	}
}

// TestFirstDumpDoesNotStretchPolls: the first dump runs without pauses and fills all
// caches, so its cost doesn't stretch the interval. That of the second one does.
func TestFirstDumpDoesNotStretchPolls(t *testing.T) {
	t.Parallel()
	const poll = 10 * time.Second
	p := newPacer(poll, 0.01, 1<<20, new(monitor.Probe))
	for _, want := range []time.Duration{poll, 100 * time.Second} {
		p.hurry = want == poll
		p.begin(conntrack.Timestamp{Mono: 1})
		p.end(conntrack.Timestamp{Mono: 2}, time.Second)
		if got := p.interval(); got != want || p.next != 1+int64(want) {
			t.Errorf("interval %v, the next dump at %v; want %v", got, time.Duration(p.next), want)
		}
	}
	if got := time.Duration(p.stats.DumpCPU.Load()); got != 2*time.Second {
		t.Errorf("%v of CPU time counted", got)
	}
}

// burning is a dump socket that makes another goroutine use 300 ms of CPU time before each
// request.
type burning struct{ ctnetlink.Socket }

// Send implements ctnetlink.Socket.
func (b burning) Send(request []byte) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		began := processCPU()
		for processCPU()-began < 300*time.Millisecond {
			continue
		}
	}()
	<-done
	return b.Socket.Send(request)
}

func processCPU() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestBusyProgramDoesNotStretchPolls: scrapes, printing and other work of the program while
// it dumps don't count as the cost of the dump. 300 ms at 1 % of a core would stretch the
// interval to 30 s.
func TestBusyProgramDoesNotStretchPolls(t *testing.T) {
	t.Parallel()
	k := conntracktest.New()
	events, dumps := k.Sockets()
	l := newLoop(t, ctnetlink.NewReader(events, burning{dumps}, k.Clock()), k.Clock())
	l.pacer = newPacer(10*time.Second, 0.01, 1<<20, &l.Stats)
	l.start()
	l.until("four dumps", func() bool { return l.reader.Stats.Dumps.Load() >= 4 })
	if got := time.Duration(l.Stats.Interval.Load()); got != 10*time.Second {
		t.Errorf("interval %v", got)
	}
	l.cancel()
	if err := <-l.ends; err != nil {
		t.Error(err)
	}
}

package print

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

const patience = time.Minute // only against hanging

// output is what a Sink writes to. Its reader may be blocked, and its writes may fail.
type output struct {
	gate chan struct{} // where set, a write waits for it to be closed
	hang chan struct{} // gets a value when one does
	mu   sync.Mutex
	err  error
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	if o.gate != nil {
		select {
		case o.hang <- struct{}{}:
		default:
		}
		<-o.gate
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0, o.err
	}
	return o.text.Write(b)
}

func (o *output) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = err
}

func pair() *flow.Pair {
	r := flow.Record{Family: unix.AF_INET, Proto: conntrack.ProtoUDP, Packets: 1, Bytes: 100}
	return &flow.Pair{r, r}
}

// TestRecordsArePrintedAfterFlush: and not before.
func TestRecordsArePrintedAfterFlush(t *testing.T) {
	out := &output{}
	s := NewSink(out, Options{})
	if due := s.Due(7); due != 7 {
		t.Errorf("due at %d with nothing to print", due)
	}
	p := pair()
	p[0].At.Mono, p[1] = 5, flow.Record{}
	s.Export(p)
	if due := s.Due(idle); due != 5+int64(Delay) {
		t.Errorf("due at %d", due)
	}
	if n := s.Stats.Printed.Load(); n != 0 {
		t.Errorf("%d printed before Flush", n)
	}
	s.Flush(conntrack.Timestamp{})
	s.Export(&flow.Pair{{NAT: flow.NATCreate, Family: unix.AF_INET}})
	s.Flush(conntrack.Timestamp{})
	if err := s.Close(patience); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.text.String()), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "START") ||
		!strings.Contains(lines[2], "NAT begins") {
		t.Errorf("printed\n%s", &out.text)
	}
	if printed, missed := s.Stats.Printed.Load(), s.Stats.Missed.Load(); printed != 2 ||
		missed != 0 {
		t.Errorf("%d printed, %d missed", printed, missed)
	}
}

// TestSlowReaderBlocksNothing: while nobody reads, Export and Flush return, memory is bounded,
// and records that find no room are counted. The others are printed once somebody reads.
func TestSlowReaderBlocksNothing(t *testing.T) {
	out := &output{gate: make(chan struct{})}
	s := NewSink(out, Options{})
	const more = 1000
	for i := range (maxQueue + more) / 2 {
		if s.Export(pair()); i%100 == 0 {
			s.Flush(conntrack.Timestamp{})
		}
	}
	s.Flush(conntrack.Timestamp{})
	if missed := s.Stats.Missed.Load(); missed != more {
		t.Errorf("%d missed, want %d", missed, more)
	}
	close(out.gate)
	if err := s.Close(patience); err != nil {
		t.Fatal(err)
	}
	if printed, missed := s.Stats.Printed.Load(), s.Stats.Missed.Load(); printed != maxQueue ||
		missed != more {
		t.Errorf("%d printed, %d missed", printed, missed)
	}
	if lines := strings.Count(out.text.String(), "\n"); lines != maxQueue+1 {
		t.Errorf("%d lines", lines)
	}
}

// TestCloseTimesOutWithoutReader: and counts the missing records.
func TestCloseTimesOutWithoutReader(t *testing.T) {
	out := &output{gate: make(chan struct{})}
	defer close(out.gate)
	s := NewSink(out, Options{})
	s.Export(pair())
	s.Flush(conntrack.Timestamp{})
	if err := s.Close(time.Millisecond); err != nil {
		t.Error(err)
	}
	if missed := s.Stats.Missed.Load(); missed != 2 {
		t.Errorf("%d missed, want 2", missed)
	}
}

// TestFailedWritesAreCounted: and printing continues once writing works again.
func TestFailedWritesAreCounted(t *testing.T) {
	full := errors.New("no space left")
	out := &output{err: full}
	s := NewSink(out, Options{})
	s.Export(pair())
	s.Flush(conntrack.Timestamp{})
	for deadline := time.Now().Add(patience); s.Stats.Errors.Load() == 0 &&
		time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	out.fail(nil)
	s.Export(pair())
	s.Flush(conntrack.Timestamp{})
	if err := s.Close(patience); err != nil {
		t.Errorf("the last write failed: %v", err)
	}
	if s.Stats.Missed.Load() != 2 || s.Stats.Printed.Load() != 2 {
		t.Errorf("%d missed, %d printed, want 2 and 2", s.Stats.Missed.Load(),
			s.Stats.Printed.Load())
	}

	s = NewSink(&output{err: full}, Options{})
	s.Export(pair())
	s.Flush(conntrack.Timestamp{})
	if err := s.Close(patience); !errors.Is(err, full) {
		t.Errorf("the last write: %v", err)
	}
}

// TestSinkAllocatesNothing: in the loop's goroutine, once warm.
func TestSinkAllocatesNothing(t *testing.T) {
	out := &output{gate: make(chan struct{}), hang: make(chan struct{}, 1)}
	s := NewSink(out, Options{})
	p := pair()
	s.Export(p)
	s.Flush(conntrack.Timestamp{})
	<-out.hang // printing itself allocates
	round := func() {
		for range 100 {
			s.Export(p)
		}
		s.Flush(conntrack.Timestamp{})
	}
	s.queue, s.taken = make([]flow.Record, 0, maxQueue), make([]flow.Record, 0, maxSpare)
	if n := testing.AllocsPerRun(20, round); n != 0 {
		t.Errorf("%v allocations for 200 records", n)
	}
	close(out.gate)
	if err := s.Close(patience); err != nil {
		t.Error(err)
	}
}

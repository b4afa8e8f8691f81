package print

import (
	"bufio"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

const (
	// Delay is the longest time between Export and the Flush that is due.
	Delay = time.Second

	maxQueue = 1 << 16 // records waiting to be printed, at some 200 B each
	maxSpare = 1 << 12 // capacity of an empty queue that is kept

	idle = int64(math.MaxInt64) // nothing to flush
)

// Stats counts what a Sink prints. Any goroutine may read it.
type Stats struct {
	Printed atomic.Uint64 // records
	Missed  atomic.Uint64 // records not printed: the reader was too slow, or writing failed
	Errors  atomic.Uint64 // writes that failed
}

// Sink is a flow.Sink that prints each record. Its own goroutine writes: while the reader
// of the output is slow, records queue up, and those that find the queue full are counted
// instead of printed.
type Sink struct {
	Stats Stats

	taken []flow.Record // since the last Flush
	flush int64         // when Flush is due, of the monotonic clock

	waiting atomic.Int64 // records neither printed nor missed yet
	mu      sync.Mutex
	queue   []flow.Record // flushed, to be printed
	wake    chan struct{} // something was flushed, or ended is set
	ended   bool
	done    chan struct{} // closed when the goroutine returns
	failure error         // of the last write
}

// NewSink returns a Sink that prints to out, and starts its goroutine, which alone calls the
// functions of o.
func NewSink(out io.Writer, o Options) *Sink {
	s := &Sink{flush: idle, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go s.write(out, o)
	return s
}

// Export implements flow.Sink.
func (s *Sink) Export(p *flow.Pair) {
	for d := range p {
		if r := &p[d]; r.Moved() || r.NAT != 0 {
			s.take(r)
		}
	}
}

func (s *Sink) take(r *flow.Record) {
	if s.waiting.Load() >= maxQueue {
		s.Stats.Missed.Add(1)
		return
	}
	if len(s.taken) == 0 {
		s.flush = r.At.Mono + int64(Delay)
	}
	s.waiting.Add(1)
	s.taken = append(s.taken, *r)
}

// Due returns when Flush is due, of the monotonic clock, but at most latest.
func (s *Sink) Due(latest int64) int64 { return min(latest, s.flush) }

// Flush implements flow.Sink.
func (s *Sink) Flush(conntrack.Timestamp) {
	if len(s.taken) == 0 {
		return
	}
	s.mu.Lock()
	s.queue = append(s.queue, s.taken...)
	s.mu.Unlock()
	s.taken, s.flush = emptied(s.taken), idle
	s.signal()
}

// emptied returns an empty queue with the capacity of queue, unless that is large.
func emptied(queue []flow.Record) []flow.Record {
	if cap(queue) > maxSpare {
		return nil
	}
	return queue[:0]
}

func (s *Sink) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close waits until all flushed records are printed, or until none was printed for timeout.
// The rest counts as missed. It returns the error of the last write. No other method may be
// called after it.
func (s *Sink) Close(timeout time.Duration) error {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.signal()
	for before := int64(-1); s.waiting.Load() != before; {
		before = s.waiting.Load()
		select {
		case <-s.done:
		case <-time.After(timeout):
		}
	}
	s.Stats.Missed.Add(uint64(s.waiting.Load()))
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// write prints flushed records until Close.
func (s *Sink) write(out io.Writer, o Options) {
	defer close(s.done)
	buffer := bufio.NewWriterSize(out, 1<<14)
	printer := newPrinter(buffer, o)
	var batch []flow.Record
	for more := true; more; {
		<-s.wake
		s.mu.Lock()
		batch, s.queue = s.queue, batch
		more = !s.ended
		s.mu.Unlock()
		s.print(batch, buffer, printer, out)
		batch = emptied(batch)
	}
}

// batchSize is the number of records of one write.
const batchSize = 64

func (s *Sink) print(batch []flow.Record, buffer *bufio.Writer, printer *Printer, out io.Writer) {
	for len(batch) > 0 {
		some := batch[:min(len(batch), batchSize)]
		batch = batch[len(some):]
		for i := range some {
			printer.record(&some[i])
		}
		err := buffer.Flush()
		if err != nil {
			buffer.Reset(out)
		}
		s.count(len(some), err)
	}
}

// count counts n records that were printed, or missed because of err.
func (s *Sink) count(n int, err error) {
	if err == nil {
		s.Stats.Printed.Add(uint64(n))
	} else {
		s.Stats.Errors.Add(1)
		s.Stats.Missed.Add(uint64(n))
	}
	s.waiting.Add(-int64(n))
	s.mu.Lock()
	s.failure = err
	s.mu.Unlock()
}

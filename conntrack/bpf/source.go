package bpf

import (
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/conntrack/kernel"
)

// SourceOptions configure a Source.
type SourceOptions struct {
	// BPF prepares for ends by eBPF, which Attach begins. Events then have IDs that are
	// computed from zones and tuple, whether netlink reports them or eBPF: so that an entry
	// has one Key, and Attach changes none. Without BPF a Source is its Reader.
	BPF bool
	// Ring is the size of the ring in bytes, which is rounded up to a power of 2.
	Ring int
	// Connections is of how many living connections the first packet is remembered, about; 0
	// means as many as the kernel's table holds.
	Connections int
	// Began is when netlink began to report ends, or earlier.
	Began conntrack.Timestamp
	// Steps are what Attach tries; nil is Steps().
	Steps []Step
}

// Source is a conntrack.Source that begins with netlink. Attach has ends read by eBPF, and living
// entries by a walk over the kernel's table, unless that can't be had: see WalkError. Only one
// goroutine may call its methods, except Interrupt and the Reader's Lost and Watchdog; Reader.Stats
// counts both kinds of ends.
type Source struct {
	*ctnetlink.Reader
	// OnChunk, if not nil, is called between two chunks of a dump, as Reader.OnChunk is.
	OnChunk func()

	options SourceOptions
	clock   conntrack.Clock
	attach  func() (*ends, error)
	hz      int32

	mu      sync.Mutex // guards ends against Interrupt
	ends    *ends      // nil: netlink reports ends
	walkErr error      // why the last dump was netlink's, though ends aren't

	attached conntrack.Timestamp // after netlink's last event

	walkCPU   time.Duration // of all walks
	walkBegan time.Duration // the thread's CPU time when this walk began, or went on
	final     bool          // Attach has succeeded, or failed for good
	backlog   bool          // the last Wait left records unread

	// For the duration of a call, since a closure for each would allocate.
	fn        func(*conntrack.Event)
	event     conntrack.Event
	unseen    uint64 // ends whose first packet is not known
	malformed uint64

	identified func(*conntrack.Event)
	walked     func([]record)
	between    func()
}

// NewSource returns a Source that begins with netlink's events.
func NewSource(r *ctnetlink.Reader, o SourceOptions, clock conntrack.Clock) *Source {
	if o.Steps == nil {
		o.Steps = Steps()
	}
	s := &Source{Reader: r, options: o, clock: clock, hz: jiffies(), final: !o.BPF}
	s.attach = func() (*ends, error) {
		room := o.Connections
		if room == 0 {
			room, _ = kernel.ReadSysctl("max") // still 0 on an error: as few as can be
		}
		return attach(o.Steps, sizesFor(o.Ring, room), clock)
	}
	s.identified = func(e *conntrack.Event) {
		e.ID = idOf(e)
		s.fn(e)
	}
	s.walked, s.between = s.readWalked, s.betweenRuns
	return s
}

// Step returns how ends are read.
func (s *Source) Step() Step {
	if s.ends == nil {
		return Netlink
	}
	return s.ends.step
}

// Final reports whether Attach has nothing more to do: it has succeeded, or has failed for a reason
// that will not pass.
func (s *Source) Final() bool { return s.final }

// Attach has ends read by eBPF from now on, and calls fn with those that netlink has reported so
// far: some may come again. The error is why ends are read by netlink still; unless Final, it may
// pass, as when nf_conntrack is loaded later.
func (s *Source) Attach(fn func(*conntrack.Event)) error {
	if s.final {
		return nil
	}
	e, err := s.attach()
	if err != nil {
		s.final = !passes(err)
		return err
	}
	s.final, s.walkErr = true, e.walkErr
	// The program is attached, so no end is missed in between.
	for {
		if err := s.Wait(0, fn); err != nil {
			e.close()
			return err
		}
		if !s.Reader.Backlog() {
			break
		}
	}
	err = s.Unsubscribe()
	s.attached = s.clock()
	s.mu.Lock()
	s.ends = e
	s.mu.Unlock()
	e.poller.Interrupt() // in case that Interrupt was called meanwhile
	return err
}

// limit bounds how many records one Wait reads, so that its caller can do other work during a storm
// of events. A batch of them has one time.
const (
	limit = 8192
	batch = 64
)

// Wait implements conntrack.Source. Ends that were lost are counted; they are not errors.
func (s *Source) Wait(d time.Duration, fn func(*conntrack.Event)) error {
	s.fn = fn
	if s.ends == nil {
		if s.options.BPF {
			fn = s.identified
		}
		return s.Reader.Wait(d, fn)
	}
	if d > 0 && !s.ends.ring.waiting() {
		if err := s.ends.wait(d); err != nil {
			return err
		}
	}
	s.read()
	return nil
}

// read reads the records that are there.
func (s *Source) read() {
	n := 0
	for n < limit {
		now := s.readBatch()
		n += now
		if now < batch {
			break
		}
	}
	s.backlog = n >= limit
	stats := &s.Stats
	if count := uint64(n) - s.malformed; count > 0 {
		stats.Destroys.Add(count)
		stats.FirstPackets.Add(count - s.unseen)
	}
	if s.unseen > 0 {
		stats.FirstUnknown.Add(s.unseen)
	}
	if s.malformed > 0 {
		stats.Malformed.Add(s.malformed)
	}
	s.unseen, s.malformed = 0, 0
	if lost := s.ends.takeLost(); lost > 0 {
		stats.Drops.Add(lost)
	}
}

// readBatch reads the records that are there, about a batch at most, and returns how many.
func (s *Source) readBatch() (n int) {
	s.event.At = s.clock()
	from := s.ends.ring.begin()
	for n < batch {
		if r := from.next(); r != nil {
			s.readEnd(r)
			n++
		} else if !from.skip() {
			break
		}
	}
	from.done()
	s.malformed += uint64(from.foreign)
	return n + from.foreign
}

// readEnd reads the record of an end.
func (s *Source) readEnd(r *record) {
	e := &s.event
	if !r.read(s.hz, e) {
		s.malformed++
		return
	}
	if !e.First.Known {
		s.unseen++
	}
	e.Once = s.comesOnce(e)
	s.fn(e)
}

// handover is how long after netlink's last event an end may repeat one of them, if the kernel has
// no time stamps.
const handover = int64(time.Minute)

// comesOnce reports whether an end was not reported by netlink before: that is so unless it ended
// while this did, and its memory is only freed now.
func (s *Source) comesOnce(e *conntrack.Event) bool {
	if e.Stop == 0 {
		return e.At.Mono-s.attached.Mono > handover
	}
	return e.Stop < s.options.Began.Wall || e.Stop > s.attached.Wall
}

// Backlog reports whether the last Wait left ends unread, because there were too many.
func (s *Source) Backlog() bool {
	if s.ends == nil {
		return s.Reader.Backlog()
	}
	return s.backlog
}

// maxWaits bounds how many Waits follow a chunk, so that a dump ends even during a storm of events.
const maxWaits = 16

// WalkError returns why living entries are dumped by netlink, as far as the last Dump knows, although
// ends are read by eBPF. It is nil if they aren't dumped.
func (s *Source) WalkError() error { return s.walkErr }

// Dump implements conntrack.Source.
func (s *Source) Dump(fn func(*conntrack.Event)) error {
	if !s.options.BPF {
		s.Reader.OnChunk = s.OnChunk
		return s.Reader.Dump(fn)
	}
	s.fn = fn
	if s.ends != nil && s.ends.walk != nil {
		err := s.walkTable()
		if errors.Is(err, conntrack.ErrPartial) {
			return err
		}
		if s.walkErr = err; err == nil {
			return nil
		}
	}
	s.Reader.OnChunk = s.onChunk
	err := s.Reader.Dump(s.identified)
	if s.ends != nil {
		s.ends.refresh()
		s.drain()
	}
	return err
}

// walkTable dumps by eBPF.
func (s *Source) walkTable() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s.walkBegan = kernel.ThreadCPU()
	err := s.ends.walk.all(s.walked, s.between)
	s.walkCPU += kernel.ThreadCPU() - s.walkBegan
	s.ends.refresh()
	s.drain()
	if err != nil {
		return err
	}
	s.StopAsking()
	s.Stats.Dumps.Add(1)
	return nil
}

// readWalked reads the records of one run.
func (s *Source) readWalked(records []record) {
	now, walk, e := s.clock(), s.ends.walk, &s.event
	e.At = now
	wall := now.Wall - (now.Mono - int64(walk.beganMono))
	living, ended, malformed := uint64(0), uint64(0), uint64(0)
	for i := range records {
		shown, ok := records[i].readWalked(s.hz, walk.began, wall, e)
		switch {
		case !ok:
			malformed++
			continue
		case !shown:
			continue
		case e.Type == conntrack.Destroy:
			ended++
			e.Once = s.comesOnce(e)
		default:
			living++
		}
		s.fn(e)
	}
	stats := &s.Stats
	stats.Entries.Add(living)
	stats.Destroys.Add(ended)
	stats.Malformed.Add(malformed)
}

// betweenRuns does what a dump does between two chunks.
func (s *Source) betweenRuns() {
	s.walkCPU += kernel.ThreadCPU() - s.walkBegan
	s.onChunk()
	s.walkBegan = kernel.ThreadCPU()
}

// DumpCPU returns the CPU time of all dumps so far, as Reader.DumpCPU does, and of all walks.
func (s *Source) DumpCPU() time.Duration { return s.Reader.DumpCPU() + s.walkCPU }

func (s *Source) onChunk() {
	if s.OnChunk != nil {
		s.OnChunk()
	}
	if s.ends != nil {
		s.drain()
	}
}

// drain reads the ends that a chunk of a dump has caused: it evicts what has expired.
func (s *Source) drain() {
	for range maxWaits {
		if s.read(); !s.backlog {
			return
		}
	}
}

// Interrupt implements conntrack.Source.
func (s *Source) Interrupt() {
	s.mu.Lock()
	e := s.ends
	s.mu.Unlock()
	if e != nil {
		e.poller.Interrupt()
	}
	s.Reader.Interrupt()
}

// Reliable reports whether the kernel repeats events that it can't deliver, as netlink alone can.
func (s *Source) Reliable() bool { return s.ends == nil && s.Reader.Reliable() }

// ReceiveBuffer returns the size of the event socket's buffer, in bytes as the kernel charges them;
// of a ring, the size of a buffer that holds as many events.
func (s *Source) ReceiveBuffer() int {
	const charge = 1280
	if s.ends == nil {
		return s.Reader.ReceiveBuffer()
	}
	return int(s.ends.ring.size() * charge / uint64(eventBytes))
}

// Reopen has ends read by netlink's events again, after an error of Wait, until Attach is called. Ends
// in between are lost.
func (s *Source) Reopen() error {
	if err := s.Reader.Reopen(); err != nil {
		return err
	}
	s.closeEnds()
	s.final = !s.options.BPF
	return nil
}

// Close detaches the program and closes the sockets.
func (s *Source) Close() error {
	s.closeEnds()
	return s.Reader.Close()
}

func (s *Source) closeEnds() {
	s.mu.Lock()
	e := s.ends
	s.ends = nil
	s.mu.Unlock()
	if e != nil {
		e.close()
	}
}

package ctnetlink

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/kernel"
)

// Socket is one netlink socket: whole datagrams in and out.
type Socket interface {
	// Recv returns the next datagram, which is valid until the next call. If none comes within
	// wait, the error is os.ErrDeadlineExceeded. unix.ENOBUFS means that datagrams were lost,
	// ErrMalformed that one was too long.
	Recv(wait time.Duration) ([]byte, error)
	Send(b []byte) error
	Close() error
}

// dumpTimeout bounds the wait for a chunk of a dump. The kernel has the next chunk ready when one
// is read, so it expires only on a broken socket.
const dumpTimeout = 5 * time.Second

// maxDatagrams bounds how many datagrams one Wait reads, so that its caller can do other work
// during a storm of events.
const maxDatagrams = 8192

// Reader reads one network namespace's conntrack. Only one goroutine may call its methods, except
// for Interrupt, Lost and Watchdog. Any goroutine may read Stats.
type Reader struct {
	Stats Stats
	// OnChunk, if not nil, is called between two chunks of a dump. It may pause the dump, and do
	// urgent work.
	OnChunk func()
	// Buckets, if not nil, returns the size of the kernel's hash table, or 0 if it isn't known.
	Buckets func() int
	// Dial, if not nil, opens a further socket. Without it, every dump walks the kernel's
	// table.
	Dial func(Purpose) (Socket, error)

	mu      sync.Mutex // guards events against other goroutines than the reader's
	events  Socket
	dumps   walker
	walker  *walker // dumps, or that of sparse
	clock   conntrack.Clock
	seq     uint32
	request []byte
	sparse
	event   conntrack.Event
	decoder decoder
	// Counted, but not in Stats yet: an atomic counter per entry would cost too much.
	entries, destroys uint64
	drops             uint32 // as the event socket counts them
	options           Options
	backlog           bool // the last Wait left events unread
	dumpCPU           time.Duration
	heartbeat         heartbeat
}

var _ conntrack.Source = (*Reader)(nil)

// dropCounter is a Socket that counts the datagrams that the kernel has dropped since it was
// opened. The count wraps.
type dropCounter interface {
	Drops() (uint32, error)
}

// NewReader returns a Reader on two sockets: events has joined the DESTROY group, dumps answers
// requests for dumps.
func NewReader(events, dumps Socket, clock conntrack.Clock) *Reader {
	r := &Reader{events: events, clock: clock}
	r.dumps = walker{Socket: dumps, purpose: Dumps}
	r.walker = &r.dumps
	return r
}

// Close closes all sockets.
func (r *Reader) Close() error {
	return errors.Join(r.events.Close(), r.dumps.Close(), r.closeSparse())
}

// Interrupt makes the current Wait, or else the next one, return at once. Any goroutine may call
// it.
func (r *Reader) Interrupt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.events.(interface{ Interrupt() }); ok {
		s.Interrupt()
	}
}

// Lost returns how often events were lost, as far as is known. It never decreases.
func (r *Reader) Lost() uint64 { return r.Stats.Drops.Load() + r.Stats.Overruns.Load() }

// countDrops reads the event socket's count of drops, which NETLINK_NO_ENOBUFS doesn't affect.
// Drops while delivery was reliable are repeated events, not lost ones.
func (r *Reader) countDrops(stalled bool) {
	s, ok := r.events.(dropCounter)
	if !ok {
		return
	}
	n, err := s.Drops()
	if err != nil {
		return
	}
	if r.options.Reliable {
		repeated := n
		if stalled {
			repeated = r.heartbeat.drops.Load()
		}
		r.Stats.Repeated.Add(uint64(repeated - r.drops))
		r.drops = repeated
	}
	r.Stats.Drops.Add(uint64(n - r.drops))
	r.drops = n
}

// Wait waits for at most wait until a connection ends, then calls fn with each one that has ended
// so far. Datagrams that the kernel dropped and malformed messages are counted; they are not
// errors.
func (r *Reader) Wait(wait time.Duration, fn func(*conntrack.Event)) error {
	err := r.drain(wait, fn)
	r.Stats.Destroys.Add(r.destroys)
	r.destroys = 0
	stalled := r.options.Reliable && r.heartbeat.stalled.Load()
	r.countDrops(stalled)
	r.observeBegins()
	r.heartbeat.setBusy()
	if stalled {
		r.options.Reliable = false
		r.Stats.Stalls.Add(1)
	}
	return err
}

func (r *Reader) drain(wait time.Duration, fn func(*conntrack.Event)) error {
	r.backlog = false
	for i := range maxDatagrams {
		b, err := r.recv(wait)
		if i%eventBatch == 0 { // a batch was read at one time
			r.event.At = r.clock()
		}
		switch {
		case err == nil:
			r.readEvents(b, fn)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case errors.Is(err, unix.ENOBUFS):
			r.Stats.Overruns.Add(1)
		case errors.Is(err, ErrMalformed):
			r.Stats.Malformed.Add(1)
		case errors.Is(err, unix.EINTR): // a signal; nothing is lost
		default:
			return fmt.Errorf("conntrack events: %w", err)
		}
		wait = 0
	}
	r.backlog = true
	return nil
}

// Backlog reports whether the last Wait left events unread, because there were too many.
func (r *Reader) Backlog() bool { return r.backlog }

// recv reads one datagram. Watchdog doesn't take a reader that waits for one as stuck.
func (r *Reader) recv(wait time.Duration) ([]byte, error) {
	if wait <= 0 {
		return r.events.Recv(0)
	}
	r.heartbeat.setIdle()
	b, err := r.events.Recv(wait)
	r.heartbeat.setBusy()
	return b, err
}

// readEvents decodes one datagram of the event socket.
func (r *Reader) readEvents(b []byte, fn func(*conntrack.Event)) {
	for len(b) > 0 {
		m, rest, err := nextMessage(b)
		if err != nil {
			r.Stats.Malformed.Add(1)
			return
		}
		if m.typ == msgDelete {
			r.deliver(&m, conntrack.Destroy, fn)
		}
		b = rest
	}
}

// Dump calls fn with every living entry, and in between with entries that end meanwhile: a dump
// itself evicts expired ones. An entry that begins or ends during the dump may be in it or not, and
// an entry may come twice. After an error the dump is incomplete; it is conntrack.ErrPartial if
// the size of the hash table has changed.
func (r *Reader) Dump(fn func(*conntrack.Event)) error {
	before := r.buckets()
	complete, err := r.readSparse(before, fn)
	if err == nil && !complete {
		err = r.walk(fn)
	}
	if err != nil {
		r.StopAsking()
		return err
	}
	r.Stats.Dumps.Add(1)
	if after := r.buckets(); before != 0 && before != after {
		r.StopAsking()
		return conntrack.ErrPartial
	}
	return nil
}

// walk has the kernel walk its table.
func (r *Reader) walk(fn func(*conntrack.Event)) error {
	r.beginWalk()
	if err := r.requestDump(); err != nil {
		return fmt.Errorf("conntrack dump: %w", err)
	}
	for done := false; !done; {
		var err error
		if done, err = r.readChunk(fn); err != nil {
			return fmt.Errorf("conntrack dump: %w", err)
		}
		if err := r.betweenChunks(fn, done); err != nil {
			return err
		}
	}
	r.walker.unfinished = false
	r.Stats.Walks.Add(1)
	return r.endWalk()
}

func (r *Reader) buckets() int {
	if r.Buckets == nil {
		return 0
	}
	return r.Buckets()
}

// maxWaits bounds how many Waits follow a chunk, so that a dump ends even during a storm of events.
const maxWaits = 16

// betweenChunks reads the events of a chunk before the next one is requested: each chunk evicts
// its expired entries, and the buffer might not hold the events of all.
func (r *Reader) betweenChunks(fn func(*conntrack.Event), done bool) error {
	for range maxWaits {
		if r.OnChunk != nil && !done {
			r.OnChunk()
		}
		if err := r.Wait(0, fn); err != nil {
			return err
		}
		if !r.backlog {
			return nil
		}
	}
	return nil
}

// requestDump requests a dump.
func (r *Reader) requestDump() error {
	if err := r.renewWalker(); err != nil {
		return err
	}
	r.walker.unfinished = true
	r.seq++
	r.request = dumpRequest(r.request, r.seq)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := kernel.ThreadCPU()
	err := r.walker.Send(r.request) // the kernel begins its walk at once
	r.dumpCPU += kernel.ThreadCPU() - began
	return err
}

// renewWalker replaces the socket on which a dump was not read to its end: the kernel would
// answer EBUSY.
func (r *Reader) renewWalker() error {
	if !r.walker.unfinished || r.Dial == nil {
		return nil
	}
	fresh, err := r.Dial(r.walker.purpose)
	if err != nil {
		return err
	}
	_ = r.walker.Close() // nothing is read from it any more
	r.walker.Socket, r.walker.unfinished = fresh, false
	return nil
}

// readChunk reads and decodes a long chunk of a dump, or short ones until they are nearly as much,
// and reports whether the last one was among them.
func (r *Reader) readChunk(fn func(*conntrack.Event)) (done bool, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := kernel.ThreadCPU()
	defer func() {
		r.Stats.Entries.Add(r.entries)
		r.entries = 0
		r.dumpCPU += kernel.ThreadCPU() - began
	}()
	for size := 0; !done && size <= dumpBuffer/2; {
		b, err := receive(r.walker)
		if err != nil {
			return false, err
		}
		size += len(b)
		r.event.At = r.clock()
		if done, err = r.readEntries(b, fn); err != nil || r.walker.purpose != ShortDumps {
			return done, err
		}
	}
	return done, nil
}

// readEntries decodes one datagram of a dump, and reports whether it was the last.
func (r *Reader) readEntries(b []byte, fn func(*conntrack.Event)) (done bool, err error) {
	for len(b) > 0 {
		m, rest, err := nextMessage(b)
		if err != nil {
			return false, err
		}
		b = rest
		if m.seq != r.seq {
			continue // left over from a dump that failed
		}
		switch m.typ {
		case msgNew:
			if r.deliver(&m, conntrack.Dump, fn) && r.begins != nil {
				r.learn()
			}
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			return true, m.failure()
		}
	}
	return false, nil
}

// receive returns the next datagram of an answer, which the kernel has ready.
func receive(s Socket) ([]byte, error) {
	b, err := s.Recv(dumpTimeout)
	for errors.Is(err, unix.EINTR) {
		b, err = s.Recv(dumpTimeout)
	}
	return b, err
}

// DumpCPU returns the CPU time of all dumps so far: the kernel's part, decoding, and fn with each
// entry. It doesn't include OnChunk, events that are read in between, and other threads.
func (r *Reader) DumpCPU() time.Duration { return r.dumpCPU }

// deliver decodes one entry and calls fn with it, unless it is malformed: then it returns false.
func (r *Reader) deliver(
	m *message, eventType conntrack.EventType, fn func(*conntrack.Event),
) (decoded bool) {
	if !r.decode(m) {
		return false
	}
	r.event.Type, r.event.Portid = eventType, 0
	if eventType == conntrack.Dump {
		r.entries++
	} else {
		r.event.Portid = m.portid // in a dump it is the reader's own
		r.destroys++
	}
	fn(&r.event)
	return true
}

// decode decodes one entry into r.event, and counts a malformed one.
func (r *Reader) decode(m *message) (ok bool) {
	b, err := m.attributes()
	if err == nil {
		err = r.decoder.decode(b, &r.event)
	}
	if err != nil {
		r.Stats.Malformed.Add(1)
	}
	return err == nil
}

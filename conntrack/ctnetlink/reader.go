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
	// Recv returns the next datagram, which is valid until the next call.
	// While there is none it waits for at most wait, then returns
	// os.ErrDeadlineExceeded. unix.ENOBUFS says that datagrams were lost,
	// ErrMalformed that one was too long.
	Recv(wait time.Duration) ([]byte, error)
	Send(b []byte) error
	Close() error
}

// dumpPatience bounds the wait for a chunk of a dump. The kernel has each one
// ready when the one before is read: this expires on a broken socket only.
const dumpPatience = 5 * time.Second

// waitLimit bounds how many datagrams one Wait reads, so that a storm of events
// can't keep its caller from all else.
const waitLimit = 8192

// Reader reads one network namespace's conntrack. Its methods belong to one
// goroutine, but for Interrupt, Lost and Watchdog; others may read Stats.
type Reader struct {
	Stats Stats
	// OnChunk, where set, is called between two chunks of a dump: the place
	// to pause, and to do what can't wait.
	OnChunk func()
	// Buckets, where set, returns the size of the kernel's hash table, 0 where that
	// isn't known.
	Buckets func() int

	mu            sync.Mutex // of events, for other goroutines than the reader's
	events, dumps Socket
	clock         conntrack.Clock
	seq           uint32
	request       []byte
	event         conntrack.Event
	decoder       decoder
	// Not in Stats yet: an atomic counter costs as much as a part of decoding.
	entries, destroys uint64
	drops             uint32 // as the event socket counts them
	options           Options
	backlog           bool // the last Wait left events unread
	opened            bool // by Open: can be opened again
	dumpCPU           time.Duration
	abandoned         bool // the last dump failed, and the kernel may not be done with it
	heartbeat         heartbeat
}

var _ conntrack.Source = (*Reader)(nil)

// dropCounter is a Socket that knows how many datagrams the kernel has dropped
// since it was opened. The count wraps.
type dropCounter interface {
	Drops() (uint32, error)
}

// NewReader reads from two sockets: events has joined the DESTROY group, dumps
// answers requests.
func NewReader(events, dumps Socket, clock conntrack.Clock) *Reader {
	return &Reader{events: events, dumps: dumps, clock: clock}
}

// Close closes both sockets.
func (r *Reader) Close() error {
	return errors.Join(r.events.Close(), r.dumps.Close())
}

// Interrupt makes a Wait under way, or else the next one, return at once. Any
// goroutine may call it.
func (r *Reader) Interrupt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.events.(interface{ Interrupt() }); ok {
		s.Interrupt()
	}
}

// Lost returns how often events were lost, as far as is known. It only grows.
func (r *Reader) Lost() uint64 { return r.Stats.Drops.Load() + r.Stats.Overruns.Load() }

// countDrops asks the event socket. NETLINK_NO_ENOBUFS makes losses silent, but
// they are still counted. What was dropped while delivery was reliable is repeated.
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

// Wait waits for at most wait until something ends, then hands fn what has ended
// by then. Datagrams that the kernel had to drop, and messages that make no
// sense, are counted and are no error.
func (r *Reader) Wait(wait time.Duration, fn func(*conntrack.Event)) error {
	err := r.drain(wait, fn)
	r.Stats.Destroys.Add(r.destroys)
	r.destroys = 0
	stalled := r.options.Reliable && r.heartbeat.stalled.Load()
	r.countDrops(stalled)
	r.heartbeat.work()
	if stalled {
		r.options.Reliable = false
		r.Stats.Stalls.Add(1)
	}
	return err
}

func (r *Reader) drain(wait time.Duration, fn func(*conntrack.Event)) error {
	r.backlog = false
	for i := range waitLimit {
		b, err := r.recv(wait)
		if i%eventBatch == 0 { // a batch was read at one time
			r.event.At = r.clock()
		}
		switch {
		case err == nil:
			r.ended(b, fn)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case errors.Is(err, unix.ENOBUFS):
			r.Stats.Overruns.Add(1)
		case errors.Is(err, ErrMalformed):
			r.Stats.Malformed.Add(1)
		case errors.Is(err, unix.EINTR): // by a signal; nothing is lost
		default:
			return fmt.Errorf("conntrack events: %w", err)
		}
		wait = 0
	}
	r.backlog = true
	return nil
}

// Backlog reports whether the last Wait had to leave off: more has ended than one hands on.
func (r *Reader) Backlog() bool { return r.backlog }

// recv reads one datagram. A reader that waits for it is not stuck.
func (r *Reader) recv(wait time.Duration) ([]byte, error) {
	if wait <= 0 {
		return r.events.Recv(0)
	}
	r.heartbeat.rest()
	b, err := r.events.Recv(wait)
	r.heartbeat.work()
	return b, err
}

// ended decodes one datagram of the event socket.
func (r *Reader) ended(b []byte, fn func(*conntrack.Event)) {
	for len(b) > 0 {
		m, rest, err := nextMessage(b)
		if err != nil {
			r.Stats.Malformed.Add(1)
			return
		}
		if m.typ == msgDelete {
			r.hand(&m, conntrack.Destroy, fn)
		}
		b = rest
	}
}

// Dump hands fn every living entry, and in between what ends meanwhile: a dump
// itself evicts what has expired. An entry that comes or goes during the dump may
// be in it or not, and one may come twice. After an error the dump is incomplete; where
// Buckets has changed meanwhile it is conntrack.ErrPartial.
func (r *Reader) Dump(fn func(*conntrack.Event)) error {
	before := r.buckets()
	if err := r.dump(fn); err != nil {
		return err
	}
	if after := r.buckets(); before != 0 && before != after {
		return conntrack.ErrPartial
	}
	return nil
}

func (r *Reader) buckets() int {
	if r.Buckets == nil {
		return 0
	}
	return r.Buckets()
}

func (r *Reader) dump(fn func(*conntrack.Event)) error {
	err := r.ask()
	r.abandoned = true
	if err != nil {
		return fmt.Errorf("conntrack dump: %w", err)
	}
	for {
		done, err := r.nextChunk(fn)
		if err != nil {
			return fmt.Errorf("conntrack dump: %w", err)
		}
		if err := r.pause(fn, done); err != nil {
			return err
		}
		if done {
			r.abandoned = false
			r.Stats.Dumps.Add(1)
			return nil
		}
	}
}

// pauseMost bounds how many Waits follow a chunk, so that a storm of events can't keep a
// dump from its end.
const pauseMost = 16

// pause reads what has ended, before a dump makes room for more: each chunk evicts what has
// expired, and all of it is reported at once.
func (r *Reader) pause(fn func(*conntrack.Event), done bool) error {
	for range pauseMost {
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

// ask asks for a dump, on a new socket where the last dump was not read to its
// end: the kernel would say EBUSY.
func (r *Reader) ask() error {
	if r.abandoned && r.opened {
		fresh, err := openSocket(r.options.NetNS, 1, dumpBuffer, plain)
		if err != nil {
			return err
		}
		_ = r.dumps.Close() // given up
		r.dumps, r.abandoned = fresh, false
	}
	r.seq++
	r.request = dumpRequest(r.request, r.seq)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := kernel.ThreadCPU()
	err := r.dumps.Send(r.request) // the kernel begins its walk at once
	r.dumpCPU += kernel.ThreadCPU() - began
	return err
}

// nextChunk reads one datagram of a dump and reports whether it was the last.
func (r *Reader) nextChunk(fn func(*conntrack.Event)) (done bool, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := kernel.ThreadCPU()
	defer func() { r.dumpCPU += kernel.ThreadCPU() - began }()
	b, err := r.dumps.Recv(dumpPatience)
	for errors.Is(err, unix.EINTR) {
		b, err = r.dumps.Recv(dumpPatience)
	}
	if err != nil {
		return false, err
	}
	done, err = r.chunk(b, fn)
	r.Stats.Entries.Add(r.entries)
	r.entries = 0
	return done, err
}

// DumpCPU returns the CPU time of all dumps so far: the kernel's walk, decoding, and fn
// with each entry. What OnChunk does and events that are read in between don't count, nor
// does what other threads do.
func (r *Reader) DumpCPU() time.Duration { return r.dumpCPU }

// chunk decodes one datagram of a dump and reports whether it was the last.
func (r *Reader) chunk(b []byte, fn func(*conntrack.Event)) (done bool, err error) {
	r.event.At = r.clock()
	for len(b) > 0 {
		m, rest, err := nextMessage(b)
		if err != nil {
			return false, err
		}
		b = rest
		if m.seq != r.seq {
			continue // what is left of a dump that failed
		}
		switch m.typ {
		case msgNew:
			r.hand(&m, conntrack.Dump, fn)
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			return true, m.failure()
		}
	}
	return false, nil
}

// hand decodes one entry and passes it on.
func (r *Reader) hand(m *message, eventType conntrack.EventType, fn func(*conntrack.Event)) {
	b, err := m.attributes()
	if err == nil {
		err = r.decoder.decode(b, &r.event)
	}
	if err != nil {
		r.Stats.Malformed.Add(1)
		return
	}
	r.event.Type, r.event.Portid = eventType, 0
	if eventType == conntrack.Dump {
		r.entries++
	} else {
		r.event.Portid = m.portid // in a dump it is our own
		r.destroys++
	}
	fn(&r.event)
}

package conntracktest

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// Reader returns a Reader with sockets of its own on the Kernel, and its clock.
func (k *Kernel) Reader() *ctnetlink.Reader {
	events, dumps := k.Sockets()
	r := ctnetlink.NewReader(events, dumps, k.Clock())
	r.Buckets = func() int { return int(k.buckets.Load()) }
	r.Dial = k.dial
	return r
}

// dial opens the further sockets of a Reader.
func (k *Kernel) dial(p ctnetlink.Purpose) (ctnetlink.Socket, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch p {
	case ctnetlink.Questions:
		return &questions{k: k}, nil
	case ctnetlink.Begins:
		s := &begins{events: events{k: k}}
		k.begins = append(k.begins, s)
		return s, nil
	default:
		d := &dumps{k: k}
		k.dumps = append(k.dumps, d)
		return d, nil
	}
}

// Sockets returns a socket that receives the events of every end from now on, and
// one that answers requests for dumps. A Recv of theirs never blocks: with
// nothing to return it advances the clock by wait. The first is also a
//
//	interface{ Interrupt() }
//
// that makes its next Recv that would wait return at once instead.
func (k *Kernel) Sockets() (forEvents, forDumps ctnetlink.Socket) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, d := &events{k: k}, &dumps{k: k}
	k.events = append(k.events, e)
	k.dumps = append(k.dumps, d)
	return e, d
}

// Close closes every socket: their Recv and Send fail with os.ErrClosed.
func (k *Kernel) Close() error {
	k.mu.Lock()
	open, answering := slices.Clone(k.events), slices.Clone(k.dumps)
	k.mu.Unlock()
	var errs []error
	for _, s := range open {
		errs = append(errs, s.Close())
	}
	for _, s := range answering {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Overrun makes Recv of each event socket return ENOBUFS once, after what is
// queued.
func (k *Kernel) Overrun() { k.FailEvents(unix.ENOBUFS) }

// FailEvents makes Recv of each event socket return err once, after what is
// queued.
func (k *Kernel) FailEvents(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.events {
		s.items = append(s.items, item{err: err})
	}
}

// InjectEvent queues a datagram, which may be anything, as an event.
func (k *Kernel) InjectEvent(datagram []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.events {
		s.pushBytes(datagram)
	}
}

// FailDump makes the Kernel refuse the next request for a dump (NLMSG_ERROR).
func (k *Kernel) FailDump(errno unix.Errno) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refused = errno
}

// BreakDump makes the next dump end after its first datagram, with errno in
// NLMSG_DONE.
func (k *Kernel) BreakDump(errno unix.Errno) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.broken = errno
}

// FailChunk makes Recv of each dump socket return err once.
func (k *Kernel) FailChunk(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.dumps {
		s.injected = append(s.injected, injection{err: err})
	}
}

// InjectChunk makes the dump sockets return a datagram, which may hold anything, before all others.
func (k *Kernel) InjectChunk(datagram []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.dumps {
		s.injected = append(s.injected, injection{datagram: slices.Clone(datagram)})
	}
}

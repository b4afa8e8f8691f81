package conntracktest

import (
	"os"
	"slices"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// events is a socket in the DESTROY group: a queue of datagrams and errors. The datagrams share one
// buffer, which is reused once all are read.
type events struct {
	k           *Kernel
	closed      bool
	interrupted bool
	buffer      []byte
	items       []item
	next        int
}

// item is the datagram buffer[from:to], or an error.
type item struct {
	from, to int
	err      error
}

func (s *events) push(e *conntrack.Event) {
	from := len(s.buffer)
	s.buffer = AppendEntry(s.buffer, e)
	s.items = append(s.items, item{from: from, to: len(s.buffer)})
}

func (s *events) pushBytes(datagram []byte) {
	from := len(s.buffer)
	s.buffer = append(s.buffer, datagram...)
	s.items = append(s.items, item{from: from, to: len(s.buffer)})
}

// Recv implements ctnetlink.Socket.
func (s *events) Recv(wait time.Duration) ([]byte, error) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	switch {
	case s.closed:
		return nil, os.ErrClosed
	case s.next < len(s.items):
		s.next++
		it := s.items[s.next-1]
		return s.buffer[it.from:it.to:it.to], it.err
	}
	s.buffer, s.items, s.next = s.buffer[:0], s.items[:0], 0
	if wait > 0 && !s.interrupted {
		s.k.Advance(wait)
	}
	s.interrupted = s.interrupted && wait <= 0
	return nil, os.ErrDeadlineExceeded
}

// Interrupt is for ctnetlink.Reader's.
func (s *events) Interrupt() {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	s.interrupted = true
}

// Send implements ctnetlink.Socket; it always fails.
func (s *events) Send([]byte) error { return os.ErrInvalid }

// Close implements ctnetlink.Socket.
func (s *events) Close() error {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	s.closed = true
	s.k.events = slices.DeleteFunc(s.k.events, func(e *events) bool { return e == s })
	return nil
}

package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"sync"
)

// HeaderSize is the length in bytes of what the opener of a TCP connection sends
// ahead of each exchange's payload.
const HeaderSize = 32

// header opens an exchange: up bytes follow, then down bytes come back.
type header struct {
	session  uint64
	up, down uint64 // bytes of payload
	rate     uint64 // bytes per second, 0 = as fast as it goes
}

func (h header) marshal() []byte {
	b := make([]byte, 0, HeaderSize)
	for _, v := range [...]uint64{h.session, h.up, h.down, h.rate} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

// readHeader returns io.EOF if the peer has ended the connection.
func readHeader(r io.Reader) (header, error) {
	var b [HeaderSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return header{}, err
	}
	field := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	return header{session: field(0), up: field(1), down: field(2), rate: field(3)}, nil
}

// session passes the opener of a connection what its server has seen, without the network: one
// result per exchange. It is closed when the server has ended the connection.
type session chan error

var errEnded = errors.New("the server has ended the connection")

// result waits for the end of an exchange.
func (s session) result(ctx context.Context) error {
	select {
	case err, open := <-s:
		if !open {
			return errEnded
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end waits until the server has closed its side and all of it was acknowledged.
func (s session) end(ctx context.Context) error {
	for {
		if err := s.result(ctx); errors.Is(err, errEnded) {
			return nil
		} else if ctx.Err() != nil {
			return err
		}
	}
}

// report never blocks: an opener that has given up doesn't take its result.
func (s session) report(err error) {
	select {
	case s <- err:
	default:
	}
}

// sessions finds the opener of a connection by the number in its headers.
type sessions struct {
	mu   sync.Mutex
	last uint64
	open map[uint64]session
}

func (s *sessions) add() (uint64, session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	opened := make(session, 1)
	s.open[s.last] = opened
	return s.last, opened
}

// take hands the session over to the server. A number that nobody waits for is
// another process's.
func (s *sessions) take(id uint64) session {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken, ok := s.open[id]
	if !ok {
		return make(session, 1)
	}
	delete(s.open, id)
	return taken
}

// arrivals reports to senders of unanswered datagrams which of them have arrived.
type arrivals struct {
	mu   sync.Mutex
	from map[netip.AddrPort]chan struct{}
}

// expect opens a channel that gets one value per datagram, room of them at most
// being outstanding.
func (a *arrivals) expect(from netip.AddrPort, room int) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	came := make(chan struct{}, room)
	a.from[from] = came
	return came
}

func (a *arrivals) forget(from netip.AddrPort) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.from, from)
}

func (a *arrivals) note(from netip.AddrPort) {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case a.from[from] <- struct{}{}:
	default:
	}
}

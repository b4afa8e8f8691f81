package traffic

import (
	"context"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
)

// tick is how often the sender wakes up: what is due by then goes out together, as
// a network card with interrupt moderation would have it.
const tick = time.Millisecond

// Source says what is to be sent. Its packets come in the order of their times.
type Source interface {
	// Next fills in the next packet, or returns false at the end.
	Next(*Packet) bool
}

// Sender sends the packets of one source at a time.
type Sender struct {
	client, server *wire
	router         uint32 // its address outside
	pending        []Packet
}

// NewSender opens packet sockets in the lab's client and server.
func NewSender(l *lab.Lab) (*Sender, error) {
	client, err := openWire(l.Client, l.Router, lab.LAN)
	if err != nil {
		return nil, err
	}
	server, err := openWire(l.Server, l.Router, lab.WAN)
	if err != nil {
		client.close()
		return nil, err
	}
	router := netip.MustParseAddr(lab.RouterWANIPv4)
	return &Sender{client, server, word(router), make([]Packet, 0, batch)}, nil
}

// Close closes the sockets.
func (s *Sender) Close() {
	s.client.close()
	s.server.close()
}

// Run sends the source's packets at their times, counted from begin, and notes in
// the ledger those that were sent. It ends with the source, with ctx, or at begin +
// most: what a slow machine could not send by then is given up. Where cpu is not
// negative, it works on that core alone.
func (s *Sender) Run(
	ctx context.Context, src Source, ledger *Ledger, begin time.Time, most time.Duration, cpu int,
) error {
	runtime.LockOSThread() // and never unlocked: the thread ends, and its affinity with it
	if err := pin(cpu); err != nil {
		return err
	}
	var next Packet
	for more := src.Next(&next); more && ctx.Err() == nil; {
		now := time.Since(begin)
		if now >= most {
			return nil
		}
		if next.At > now {
			sleepUntil(begin.Add(next.At.Truncate(tick) + tick))
			continue
		}
		wire := s.wire(&next)
		for more && next.At <= now && s.wire(&next) == wire && !wire.full() {
			s.pending = append(s.pending, next)
			wire.add(&next, s.seenClient(&next))
			more = src.Next(&next)
		}
		sent, err := wire.flush()
		ledger.note(s.pending[:sent], now)
		s.pending = s.pending[:0]
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (s *Sender) wire(p *Packet) *wire {
	if p.Down {
		return s.server
	}
	return s.client
}

// seenClient is a flow's client as it looks where the packet is put on the wire.
func (s *Sender) seenClient(p *Packet) uint32 {
	if p.Down {
		return s.router
	}
	return client(p.Flow)
}

func pin(cpu int) error {
	if cpu < 0 {
		return nil
	}
	var set unix.CPUSet
	set.Set(cpu)
	return unix.SchedSetaffinity(0, &set)
}

// sleepUntil sleeps in the kernel: the runtime's timers wake other threads too.
func sleepUntil(t time.Time) {
	rest := unix.NsecToTimespec(int64(time.Until(t)))
	if rest.Nano() > 0 {
		_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &rest, nil) // woken early: we look again
	}
}

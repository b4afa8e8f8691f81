package conntracktest

import (
	"encoding/binary"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

const (
	msgStats = unix.NFNL_SUBSYS_CTNETLINK<<8 | 5

	ctaStatsGlobalEntries = 1
)

// LoseBegins has the Kernel announce no entry that begins while lost is true.
func (k *Kernel) LoseBegins(lost bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loseBegins = lost
}

// OverrunBegins lets each socket that is told of new entries lose what it holds, and return
// ENOBUFS once.
func (k *Kernel) OverrunBegins() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.begins {
		s.items, s.next = append(s.items[:0], item{err: unix.ENOBUFS}), 0
		s.drops++
	}
}

// Hide has the Kernel count n entries that are not in its table, as of packets that wait in a
// queue.
func (k *Kernel) Hide(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hidden = n
}

// FailQuestion makes the Kernel answer the next question with errno.
func (k *Kernel) FailQuestion(errno unix.Errno) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unanswered = errno
}

// Requested returns how many dumps were requested so far.
func (k *Kernel) Requested() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.requested
}

// begins is a socket in the NEW group.
type begins struct {
	events
	drops uint32
}

// Drops is for ctnetlink.Reader: how many events were lost.
func (s *begins) Drops() (uint32, error) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	return s.drops, nil
}

// Close implements ctnetlink.Socket.
func (s *begins) Close() error {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	s.closed = true
	s.k.begins = slices.DeleteFunc(s.k.begins, func(b *begins) bool { return b == s })
	return nil
}

// announce tells of a new entry. The event has neither counters nor times.
func (k *Kernel) announce(e *conntrack.Event) {
	if k.loseBegins {
		return
	}
	begun := *e
	begun.Counted, begun.Start = false, 0
	for _, s := range k.begins {
		s.push(&begun)
	}
}

// questions is a socket that answers questions for single entries and their number.
type questions struct {
	k       *Kernel
	closed  bool
	answers [][]byte
}

// place is what an entry is looked up by: one of its tuples, as a message has it, and the zone.
type place struct {
	tuple string
	zone  uint16
}

func placeOf(t *conntrack.Tuple, zone uint16) place {
	var w writer
	w.tuple(ctaTupleOrig, t, 0)
	return place{string(w.b), zone}
}

// places returns all entries by both directions.
func (k *Kernel) places() map[place]*conntrack.Event {
	all := map[place]*conntrack.Event{}
	for _, n := range k.table.byKey {
		all[placeOf(&n.event.Reply, n.event.ReplyZone)] = &n.event
	}
	for _, n := range k.table.byKey {
		all[placeOf(&n.event.Orig, n.event.Zone)] = &n.event
	}
	return all
}

// Send implements ctnetlink.Socket: it takes any number of questions.
func (s *questions) Send(b []byte) error {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	all := s.k.places()
	for len(b) >= headerLen {
		length := int(binary.NativeEndian.Uint32(b))
		if length < headerLen+genmsgLen || length > len(b) {
			return unix.EINVAL
		}
		s.answers = append(s.answers, s.k.answer(all, b[:length]))
		b = b[min(align4(length), len(b)):]
	}
	return nil
}

func (k *Kernel) answer(all map[place]*conntrack.Event, request []byte) []byte {
	seq := binary.NativeEndian.Uint32(request[8:])
	errno := k.unanswered
	k.unanswered = 0
	switch typ := binary.NativeEndian.Uint16(request[4:]); {
	case errno != 0:
	case typ == msgStats:
		w := writer{appendHeader(nil, msgStats, unix.NLM_F_MULTI, seq, dumpPortid)}
		w.b = append(w.b, unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0)
		w.u32(ctaStatsGlobalEntries, uint32(len(k.table.byKey)+k.hidden))
		return finish(w.b, 0)
	case typ == msgGet:
		e := all[parsePlace(request[headerLen+genmsgLen:])]
		if e != nil && e.Orig.Family == request[headerLen] {
			return Stamp(AppendEntry(nil, e), seq)
		}
		errno = unix.ENOENT
	default:
		errno = unix.EOPNOTSUPP
	}
	return AppendError(nil, seq, errno, request)
}

// parsePlace reads CTA_TUPLE_ORIG and CTA_ZONE.
func parsePlace(b []byte) (p place) {
	for len(b) >= 4 {
		length := int(binary.NativeEndian.Uint16(b))
		if length < 4 || length > len(b) {
			return p
		}
		switch binary.NativeEndian.Uint16(b[2:]) &^ unix.NLA_F_NESTED {
		case ctaTupleOrig:
			p.tuple = string(b[:length])
		case ctaZone:
			p.zone = binary.BigEndian.Uint16(b[4:])
		}
		b = b[min(align4(length), len(b)):]
	}
	return p
}

// Recv implements ctnetlink.Socket.
func (s *questions) Recv(wait time.Duration) ([]byte, error) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	switch {
	case s.closed:
		return nil, os.ErrClosed
	case len(s.answers) > 0:
		first := s.answers[0]
		s.answers = s.answers[1:]
		return first, nil
	}
	s.k.Advance(max(wait, 0))
	return nil, os.ErrDeadlineExceeded
}

// Close implements ctnetlink.Socket.
func (s *questions) Close() error {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	s.closed = true
	return nil
}

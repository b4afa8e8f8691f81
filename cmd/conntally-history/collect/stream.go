package collect

import (
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/export/decode"
)

const netflow9 = 9

// patience is how long records may wait for their template until they count as missing.
const patience = 3 * time.Minute

// stream is a sequence of messages: in IPFIX it counts data records, in NetFlow v9 datagrams.
type stream struct {
	next  uint32 // expected of the next message
	known bool   // next is valid
	last  time.Time
	// deferred is how many of those before next are not counted: they were lost, or they wait
	// for their template. It becomes what is missing once none waits any more.
	deferred       int64
	waits          time.Time // since when records wait; zero: none does
	gapFrom, gapTo uint32    // the last gap
}

// advance follows the sequence, and returns how many units a late message brings back that
// were counted as missing.
func (s *stream) advance(m *decode.Message, now time.Time) (back uint64) {
	recovered := 0
	if m.Version != netflow9 {
		recovered = m.Recovered
	}
	s.last, s.known = now, s.known && !m.Rebased
	s.deferred -= int64(recovered)
	if m.Held == 0 {
		s.waits = time.Time{}
	} else if s.waits.IsZero() {
		s.waits = now
	}
	gap := m.Sequence - s.next
	behind := s.known && gap >= 1<<31
	switch {
	case behind && m.Sequence-s.gapFrom < s.gapTo-s.gapFrom:
		// It fills the last gap, whether the decoder calls it late or can't tell since records wait.
		return s.fill(m.Units)
	case m.Late && s.known:
		return 0
	case s.known && !behind:
		s.deferred += int64(gap)
		if gap > 0 {
			s.gapFrom, s.gapTo = s.next, m.Sequence
		}
	}
	s.next, s.known = m.Sequence+m.Units, true
	return 0
}

// fill takes units out of the last gap, and returns how many of them were counted as missing.
func (s *stream) fill(units uint32) (counted uint64) {
	deferred := min(int64(units), max(s.deferred, 0))
	s.deferred -= deferred
	return uint64(int64(units) - deferred)
}

// settle counts what is missing, unless records have been waiting for a short time.
func (s *stream) settle(x *exporter, i *usage.Intake, now time.Time, last bool) {
	if last || s.waits.IsZero() || now.Sub(s.waits) >= patience {
		s.give(x, i)
	}
}

func (s *stream) give(x *exporter, i *usage.Intake) {
	if s.deferred <= 0 {
		return
	}
	if x.key.Version == netflow9 {
		i.MissingDatagrams += uint64(s.deferred)
	} else {
		i.MissingRecords += uint64(s.deferred)
	}
	s.deferred = 0
}

// sequence returns what the next message should have, for the case that nothing is counted any
// more before it.
func (s *stream) sequence(port uint16) usage.Sequence {
	return usage.Sequence{Port: port, Next: s.next - uint32(s.deferred)}
}

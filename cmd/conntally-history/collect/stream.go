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
	// deferred is what next is ahead of what was counted, as records wait for their template,
	// or were lost: see settle.
	deferred       int64
	gapFrom, gapTo uint32 // the last gap
	waiting        bool   // records wait for their template
	waitingSince   time.Time
}

// advance follows the sequence, and returns how many units a late message brings back that
// were counted as missing.
func (s *stream) advance(m *decode.Message, now time.Time) (back uint64) {
	units := uint32(1)
	if m.Version != netflow9 {
		units = uint32(m.DataRecords)
	}
	s.last = now
	if m.Late && s.known {
		if m.Sequence-s.gapFrom < s.gapTo-s.gapFrom {
			return uint64(units)
		}
		return 0
	}
	if gap := m.Sequence - s.next; s.known && gap < 1<<31 {
		s.deferred += int64(gap)
		if gap > 0 {
			s.gapFrom, s.gapTo = s.next, m.Sequence
		}
	}
	s.next, s.known = m.Sequence+units, true
	return 0
}

// settle counts what is missing, unless some of it waits for its template.
func (s *stream) settle(x *exporter, i *usage.Intake) {
	if !s.waiting {
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

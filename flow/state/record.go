package state

import (
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

const (
	tupleSize  = 16 + 16 + 2 + 2 + 1 + 1
	recordSize = tupleSize + 2 + 2 + 4 + 8 + 4*8 + 8
)

// appendRecord adds the recordSize bytes of s to b.
func appendRecord(b []byte, s *flow.Checkpoint) []byte {
	b = appendTuple(b, &s.Key.Orig)
	b = le.AppendUint16(b, s.Key.Zone)
	b = le.AppendUint16(b, s.Key.ReplyZone)
	b = le.AppendUint32(b, s.Key.ID)
	b = le.AppendUint64(b, uint64(s.Key.Start))
	for d := range s.Sent {
		b = le.AppendUint64(b, s.Sent[d].Packets)
		b = le.AppendUint64(b, s.Sent[d].Bytes)
	}
	return le.AppendUint64(b, uint64(s.Until))
}

func appendTuple(b []byte, t *conntrack.Tuple) []byte {
	b = append(b, t.Src[:]...)
	b = append(b, t.Dst[:]...)
	b = le.AppendUint16(b, t.SrcPort)
	b = le.AppendUint16(b, t.DstPort)
	return append(b, t.Family, t.Proto)
}

// parseRecord reads the recordSize bytes of b.
func parseRecord(b []byte) (s flow.Checkpoint) {
	_ = b[recordSize-1]
	s.Key.Orig = parseTuple(b)
	b = b[tupleSize:]
	s.Key.Zone, s.Key.ReplyZone = le.Uint16(b), le.Uint16(b[2:])
	s.Key.ID = le.Uint32(b[4:])
	s.Key.Start = int64(le.Uint64(b[8:]))
	for d := range s.Sent {
		c := b[16+16*d:]
		s.Sent[d] = conntrack.Counters{Packets: le.Uint64(c), Bytes: le.Uint64(c[8:])}
	}
	s.Until = int64(le.Uint64(b[48:]))
	return s
}

func parseTuple(b []byte) conntrack.Tuple {
	return conntrack.Tuple{
		Src: conntrack.Addr(b[:16]), Dst: conntrack.Addr(b[16:32]),
		SrcPort: le.Uint16(b[32:]), DstPort: le.Uint16(b[34:]),
		Family: b[36], Proto: b[37],
	}
}

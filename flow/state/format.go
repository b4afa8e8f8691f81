package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

const (
	magic      = "conntly\n"
	version    = 2
	ownIDs     = 1 << 16 // added to the version: see Identity
	headerSize = len(magic) + 4 + 16 + 8 + 8 + 8 + 4
)

var (
	le     = binary.LittleEndian
	crc32c = crc32.MakeTable(crc32.Castagnoli)
)

// header is the beginning of every file.
type header struct {
	id    Identity
	began int64 // ns since 1970
}

// append adds the header to b.
func (h *header) append(b []byte) []byte {
	from := len(b)
	b = append(b, magic...)
	v := uint32(version)
	if h.id.OwnIDs {
		v |= ownIDs
	}
	b = le.AppendUint32(b, v)
	b = append(b, h.id.Boot[:]...)
	b = le.AppendUint64(b, h.id.Namespace)
	b = le.AppendUint64(b, h.id.Cookie)
	b = le.AppendUint64(b, uint64(h.began))
	return le.AppendUint32(b, crc32.Checksum(b[from:], crc32c))
}

// parseHeader reads the headerSize bytes of b. It checks the version before the CRC,
// which may be elsewhere in another version.
func parseHeader(b []byte) (h header, err error) {
	if string(b[:8]) != magic {
		return h, errors.New("not a state file of conntally")
	}
	v := le.Uint32(b[8:])
	if v&^ownIDs != version {
		return h, fmt.Errorf("of version %d, this program knows %d", v, version)
	}
	if crc32.Checksum(b[:headerSize-4], crc32c) != le.Uint32(b[headerSize-4:]) {
		return h, errors.New("damaged: wrong CRC of the header")
	}
	h.id = Identity{
		Boot: [16]byte(b[12:28]), Namespace: le.Uint64(b[28:]), Cookie: le.Uint64(b[36:]),
		OwnIDs: v&ownIDs != 0,
	}
	h.began = int64(le.Uint64(b[44:]))
	return h, nil
}

const (
	batchHeader = 4 + 4 + 4
	batchMost   = 1024 // records; more go to further batches
	batchSize   = batchHeader + batchMost*recordSize
)

// batch collects records in a buffer that it keeps.
type batch struct {
	buf   []byte
	count int
}

func newBatch() batch { return batch{buf: make([]byte, batchHeader, batchSize)} }

func (b *batch) add(s *flow.Checkpoint) {
	b.buf = appendRecord(b.buf, s)
	b.count++
}

func (b *batch) full() bool { return b.count == batchMost }

// seal returns the whole batch, which is valid until the next add.
func (b *batch) seal() []byte {
	le.PutUint32(b.buf, uint32(b.count))
	le.PutUint32(b.buf[4:], crc32.Checksum(b.buf[batchHeader:], crc32c))
	le.PutUint32(b.buf[8:], crc32.Checksum(b.buf[:8], crc32c))
	return b.buf
}

func (b *batch) reset() { b.buf, b.count = b.buf[:batchHeader], 0 }

// parseBatchHeader returns how many records follow and their CRC. The header has
// a CRC of its own, so that a damaged count is not taken for a torn batch.
func parseBatchHeader(b []byte) (count int, sum uint32, err error) {
	if crc32.Checksum(b[:8], crc32c) != le.Uint32(b[8:]) {
		return 0, 0, errors.New("damaged: wrong CRC of a batch's header")
	}
	n := le.Uint32(b)
	if n == 0 || n > batchMost {
		return 0, 0, fmt.Errorf("damaged: a batch of %d records", n)
	}
	return int(n), le.Uint32(b[4:]), nil
}

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

package state

import (
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/conntally/conntally/flow"
)

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

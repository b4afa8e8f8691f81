package bpf

import (
	"sync/atomic"
	"unsafe"
)

// The header of each record in the ring (struct bpf_ringbuf_hdr).
const (
	headerSize = 8
	busyBit    = 1 << 31 // it is being written
	discardBit = 1 << 30 // it was given up
)

// ring is a BPF ring buffer, read in place. Positions are in bytes since it was made.
type ring struct {
	consumer *atomic.Uint64 // where the next record is read
	producer *atomic.Uint64 // where the kernel writes the next one
	data     []byte         // its memory twice in a row, so that no record is cut in two
}

func (r *ring) size() uint64 { return uint64(len(r.data) / 2) }

// header returns the header of the record at a position.
func (r *ring) header(at uint64) uint32 {
	offset := at & (r.size() - 1)
	return atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.data[offset])))
}

// waiting reports whether there is a record to read.
func (r *ring) waiting() bool {
	at := r.consumer.Load()
	return at < r.producer.Load() && r.header(at)&busyBit == 0
}

// whole returns the record at a position if it is one of ours, and written. It is nil otherwise:
// skip tells what is there.
func (r *ring) whole(at uint64) *record {
	header := unsafe.Add(unsafe.Pointer(unsafe.SliceData(r.data)), at&(r.size()-1))
	if atomic.LoadUint32((*uint32)(header)) != uint32(recordSize) {
		return nil
	}
	return (*record)(unsafe.Add(header, headerSize))
}

// skip returns the position after what is there, which is before end, and whether that was none of our
// records. It returns the same position if something is being written there.
func (r *ring) skip(at, end uint64) (after uint64, foreign bool) {
	header := r.header(at)
	length := uint64(header &^ (busyBit | discardBit))
	switch {
	case header&busyBit != 0:
		return at, false
	case length > r.size(): // never, by a kernel that works
		return end, false
	}
	return at + (headerSize+length+7)&^7, header&discardBit == 0
}

// read calls fn with the records that are there, at most limit, and returns how many, and how many of
// something else were skipped. A record is valid only inside fn.
func (r *ring) read(limit int, fn func(*record)) (n, foreign int) {
	at, end := r.consumer.Load(), r.producer.Load()
	for at < end && n+foreign < limit {
		if own := r.whole(at); own != nil {
			fn(own)
			at += uint64(eventBytes)
			n++
			continue
		}
		after, other := r.skip(at, end)
		if after == at {
			break
		}
		if at = after; other {
			foreign++
		}
	}
	r.consumer.Store(at)
	return n, foreign
}

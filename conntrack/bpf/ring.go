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

// reading takes the records that a ring has at one time.
type reading struct {
	*ring
	memory  unsafe.Pointer // of the ring's data
	mask    uint64         // of a position in it
	at, end uint64
	foreign int // records that are none of ours, and were skipped
}

func (r *ring) begin() reading {
	return reading{
		ring: r, memory: unsafe.Pointer(unsafe.SliceData(r.data)), mask: r.size() - 1,
		at: r.consumer.Load(), end: r.producer.Load(),
	}
}

// done gives the memory of what was read back to the kernel.
func (x *reading) done() { x.consumer.Store(x.at) }

// next returns the next record, which is valid until done is called; nil if something else is there, or
// nothing: see skip.
func (x *reading) next() *record {
	header := unsafe.Add(x.memory, x.at&x.mask)
	if x.at >= x.end || atomic.LoadUint32((*uint32)(header)) != uint32(recordSize) {
		return nil
	}
	x.at += uint64(eventBytes)
	return (*record)(unsafe.Add(header, headerSize))
}

// skip goes on behind what is no record of ours, and reports whether there is more to read: not where
// something is being written.
func (x *reading) skip() bool {
	if x.at >= x.end {
		return false
	}
	header := x.header(x.at)
	length := uint64(header &^ (busyBit | discardBit))
	switch {
	case header&busyBit != 0:
		return false
	case length > x.size(): // never, by a kernel that works
		x.at = x.end
		return false
	case header&discardBit == 0:
		x.foreign++
	}
	x.at += (headerSize + length + 7) &^ 7
	return true
}

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

// releaseEvery is how many records are read before their memory is given back to the kernel.
const releaseEvery = 64

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
// next tells what is there.
func (r *ring) whole(at uint64) *[recordSize]byte {
	header := unsafe.Add(unsafe.Pointer(unsafe.SliceData(r.data)), at&(r.size()-1))
	if atomic.LoadUint32((*uint32)(header)) != recordSize {
		return nil
	}
	return (*[recordSize]byte)(unsafe.Add(header, headerSize))
}

// next returns the record at a position before end, nil if it was given up, and the position after it:
// the same one if it is being written.
func (r *ring) next(at, end uint64) (record []byte, after uint64) {
	header := r.header(at)
	if header&busyBit != 0 {
		return nil, at
	}
	length := uint64(header &^ (busyBit | discardBit))
	if length > r.size() { // never, by a kernel that works
		return nil, end
	}
	if header&discardBit == 0 {
		offset := at&(r.size()-1) + headerSize
		record = r.data[offset : offset+length : offset+length]
	}
	return record, at + (headerSize+length+7)&^7
}

// read calls fn with the records that are there, at most limit, and returns how many. A record is
// valid only inside fn.
func (r *ring) read(limit int, fn func(record []byte)) (n int) {
	at, end := r.consumer.Load(), r.producer.Load()
	for at < end && n < limit {
		record, after := r.next(at, end)
		if after == at {
			break
		}
		if at = after; record != nil {
			fn(record)
			n++
		}
		if n%releaseEvery == 0 {
			r.consumer.Store(at)
		}
	}
	r.consumer.Store(at)
	return n
}

package bpf

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"unsafe"
)

// fakeRing is the kernel's side of a ring.
type fakeRing struct {
	ring
	lost uint64 // records that found no room
}

func newFakeRing(size int) *fakeRing {
	words := make([]uint64, 2*size/8) // aligned
	return &fakeRing{ring: ring{
		consumer: new(atomic.Uint64), producer: new(atomic.Uint64),
		data: unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 2*size),
	}}
}

// put writes a record with a header, as far as there is room (bpf_ringbuf_reserve).
func (f *fakeRing) put(record []byte, bits uint32) {
	length := uint64(headerSize+len(record)+7) &^ 7
	at := f.producer.Load()
	if at+length-f.consumer.Load() > f.size()-1 {
		f.lost++
		return
	}
	f.set(at, uint32(len(record))|bits)
	for i, v := range record { // both views of the memory
		offset := (at + headerSize + uint64(i)) % f.size()
		f.data[offset], f.data[offset+f.size()] = v, v
	}
	f.producer.Store(at + length)
}

// set writes the header of the record at a position.
func (f *fakeRing) set(at uint64, header uint32) {
	offset := at % f.size()
	binary.NativeEndian.PutUint32(f.data[offset:], header)
	binary.NativeEndian.PutUint32(f.data[offset+f.size():], header)
}

// finish clears the busy bit of the record at a position.
func (f *fakeRing) finish(at uint64) { f.set(at, f.header(at)&^busyBit) }

func (f *fakeRing) take(limit int) (got []string) {
	n := f.read(limit, func(b []byte) { got = append(got, string(b)) })
	if n != len(got) {
		panic("read returned another number")
	}
	return got
}

// TestRingReturnsEachRecordOnce: also those that wrap around, for several times the ring's size.
func TestRingReturnsEachRecordOnce(t *testing.T) {
	f := newFakeRing(4096)
	var want, got []string
	for i := range 1000 {
		record := fmt.Sprintf("record %d%*s", i, i%50, "")
		want = append(want, record)
		f.put([]byte(record), 0)
		if i%7 == 0 {
			got = append(got, f.take(1000)...)
		}
	}
	got = append(got, f.take(1000)...)
	if !slices.Equal(got, want) || f.lost != 0 {
		t.Errorf("got %d of %d records, %d lost", len(got), len(want), f.lost)
	}
	if f.waiting() || *f.consumer != *f.producer {
		t.Error("something is left")
	}
}

// TestRingStopsAtBusyRecord: what comes after one that is being written waits for it.
func TestRingStopsAtBusyRecord(t *testing.T) {
	f := newFakeRing(4096)
	f.put([]byte("one"), 0)
	busy := f.producer.Load()
	f.put([]byte("two"), busyBit)
	f.put([]byte("three"), 0)
	if got := f.take(10); !slices.Equal(got, []string{"one"}) || f.waiting() {
		t.Errorf("%q, waiting %v", got, f.waiting())
	}
	f.finish(busy)
	if !f.waiting() {
		t.Error("not waiting")
	}
	if got := f.take(10); !slices.Equal(got, []string{"two", "three"}) {
		t.Errorf("%q", got)
	}
}

// TestRingSkipsDiscarded: records that the program gave up.
func TestRingSkipsDiscarded(t *testing.T) {
	f := newFakeRing(4096)
	f.put([]byte("one"), discardBit)
	f.put([]byte("two"), 0)
	if got := f.take(10); !slices.Equal(got, []string{"two"}) {
		t.Errorf("%q", got)
	}
}

// TestRingReadsAtMost: the rest stays.
func TestRingReadsAtMost(t *testing.T) {
	f := newFakeRing(1 << 14)
	for range 100 {
		f.put([]byte("record"), 0)
	}
	for _, want := range []int{70, 30, 0} {
		if got := f.take(70); len(got) != want {
			t.Errorf("%d records, want %d", len(got), want)
		}
	}
}

// TestRingGivesMemoryBackMeanwhile: the kernel can go on while a long queue is read.
func TestRingGivesMemoryBackMeanwhile(t *testing.T) {
	f := newFakeRing(4096)
	record := make([]byte, 8)
	for range 200 {
		f.put(record, 0)
	}
	n := 0
	f.read(1<<20, func([]byte) {
		if n++; n == releaseEvery+1 && f.consumer.Load() == 0 {
			t.Error("nothing was given back")
		}
	})
}

// TestRingSurvivesWrongLength: a header that can't be ends the reading, not the program.
func TestRingSurvivesWrongLength(t *testing.T) {
	f := newFakeRing(4096)
	f.put([]byte("one"), 1<<20)
	if got := f.take(10); len(got) != 0 {
		t.Errorf("%q", got)
	}
	f.put([]byte("two"), 0)
	if got := f.take(10); !slices.Equal(got, []string{"two"}) {
		t.Errorf("%q", got)
	}
}

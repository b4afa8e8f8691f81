package bpf

import (
	"encoding/binary"
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

// end returns the bytes of a record that take knows again.
func end(number int) []byte {
	r := record{now: uint32(number)}
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(&r)), recordSize)...)
}

// take returns the numbers of the records that are there, at most limit, and how many of something
// else were skipped.
func (f *fakeRing) take(limit int) (numbers []int, foreign int) {
	x := f.begin()
	defer x.done()
	for len(numbers) < limit {
		if r := x.next(); r != nil {
			numbers = append(numbers, int(r.now))
		} else if !x.skip() {
			break
		}
	}
	return numbers, x.foreign
}

func (f *fakeRing) holds(t *testing.T, limit, wantForeign int, want ...int) {
	t.Helper()
	if got, foreign := f.take(limit); !slices.Equal(got, want) || foreign != wantForeign {
		t.Errorf("%d and %d of something else, want %d and %d", got, foreign, want, wantForeign)
	}
}

// TestRingReturnsEachRecordOnce: also those that wrap around, for several times the ring's size, among
// others.
func TestRingReturnsEachRecordOnce(t *testing.T) {
	f := newFakeRing(4096)
	var want, got []int
	others := 0
	for i := range 1000 {
		want = append(want, i)
		f.put(end(i), 0)
		f.put(make([]byte, i%50), 0)
		if i%7 == 0 {
			numbers, foreign := f.take(1000)
			got, others = append(got, numbers...), others+foreign
		}
	}
	numbers, foreign := f.take(1000)
	got, others = append(got, numbers...), others+foreign
	if !slices.Equal(got, want) || f.lost != 0 || others != 1000 {
		t.Errorf("got %d of %d records, %d lost, %d others", len(got), len(want), f.lost, others)
	}
	if f.waiting() || *f.consumer != *f.producer {
		t.Error("something is left")
	}
}

// TestRingStopsAtBusyRecord: what comes after one that is being written waits for it.
func TestRingStopsAtBusyRecord(t *testing.T) {
	for name, being := range map[string][]byte{"ours": end(2), "another's": make([]byte, 9)} {
		f := newFakeRing(4096)
		f.put(end(1), 0)
		busy := f.producer.Load()
		f.put(being, busyBit)
		f.put(end(3), 0)
		if f.holds(t, 10, 0, 1); f.waiting() {
			t.Errorf("%s: waiting", name)
		}
		f.holds(t, 10, 0)
		f.finish(busy)
		if !f.waiting() {
			t.Errorf("%s: not waiting", name)
		}
		if len(being) == recordSize {
			f.holds(t, 10, 0, 2, 3)
		} else {
			f.holds(t, 10, 1, 3)
		}
	}
}

// TestRingSkipsDiscarded: records that the program gave up.
func TestRingSkipsDiscarded(t *testing.T) {
	f := newFakeRing(4096)
	f.put(end(1), discardBit)
	f.put(end(2), 0)
	f.holds(t, 10, 0, 2)
}

// TestRingReadsAtMost: the rest stays.
func TestRingReadsAtMost(t *testing.T) {
	f := newFakeRing(1 << 16)
	for i := range 100 {
		f.put(end(i), 0)
	}
	for _, want := range []int{70, 30, 0} {
		if got, _ := f.take(70); len(got) != want {
			t.Errorf("%d records, want %d", len(got), want)
		}
	}
}

// TestRingSurvivesWrongLength: a header that can't be ends the reading, not the program.
func TestRingSurvivesWrongLength(t *testing.T) {
	f := newFakeRing(4096)
	f.put(end(1), 1<<20)
	f.holds(t, 10, 0)
	f.put(end(2), 0)
	f.holds(t, 10, 0, 2)
}

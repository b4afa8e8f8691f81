package bpf

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/conntally/conntally/conntrack"
)

// walk reads living entries by a program that walks over the kernel's table. Each run of the program
// covers a part of it, and leaves records.
//
// A marker, an entry of its own, shows where the table is, and proves that the walk was one over the
// table in use: it was met once, and another look-up, which waits while the kernel moves entries to
// another table, finds it in the same one.
type walk struct {
	*sharedWalk
	records []record // of a run
	marker  marker
	find    func() error // runs the program that finds the table
	run     func() error // runs the program that walks
	buckets func() int   // of the kernel's table
	grace   uint32       // jiffies
}

// marker is an entry that can be inserted and deleted.
type marker interface {
	Insert() error
	Delete() error
	Close() error
}

// sharedWalk is the part of struct walk in walk.bpf.h that this program reads or writes.
type sharedWalk struct {
	marker, net, table uint64
	beganMono          uint64
	address            [4]byte
	bucket             uint32
	next, until        uint32
	written            uint32
	stopped            uint32
	marked             uint32
	began              uint32
	grace              uint32
	torn               uint32
	visits, tries      uint32
}

// Why a run has stopped early.
const (
	stoppedPaused = iota + 1
	stoppedTooLong
	stoppedMoved
	stoppedUnsettled
)

const (
	walkRoom = 256 // ROOM
	group    = 64  // GROUP: the number of buckets is a multiple of it
)

// The reasons why living entries can't be read by a walk.
var (
	ErrNoTable  = errors.New("the kernel's connection table was not found")
	ErrMissed   = errors.New("a walk over the kernel's connection table missed an entry")
	ErrTooLong  = errors.New("the kernel's connection table has too few buckets to walk over it")
	ErrUnsteady = errors.New("the kernel's connection table changes faster than it can be read")
)

// never is a grace after which no entry has expired.
const never = 1 << 30

// test proves that an entry is found, by a walk over its part of the table. It shows no end.
func (w *walk) test() (err error) {
	for range 3 {
		err = w.dump(func() {
			w.sharedWalk.grace = never
			w.next = w.bucket &^ (group - 1)
			w.until = w.next + group
		}, func([]record) {}, func() {})
		if !errors.Is(err, conntrack.ErrPartial) {
			break
		}
	}
	return err
}

// all calls read with the records of all entries, some at a time, which are valid until it returns,
// and between after each run.
func (w *walk) all(read func([]record), between func()) error {
	return w.dump(func() { w.sharedWalk.grace = w.grace }, read, between)
}

func (w *walk) dump(prepare func(), read func([]record), between func()) error {
	size := w.buckets()
	if err := w.begin(size); err != nil {
		return err
	}
	defer w.marker.Delete() //nolint:errcheck // it expires
	prepare()
	table, bucket := w.table, w.bucket
	for w.next < w.until {
		if err := w.run(); err != nil {
			return fmt.Errorf("running the eBPF program: %w", err)
		}
		moved := w.check(table, bucket)
		read(w.records[:min(w.written, walkRoom)])
		if err := cmp.Or(w.whyStopped(), moved); err != nil {
			return err
		}
		between()
	}
	switch {
	case w.buckets() != size:
		return conntrack.ErrPartial
	case w.marked != 1:
		return fmt.Errorf("%w: it met its own %d times", ErrMissed, w.marked)
	}
	return nil
}

// whyStopped returns why the last run has ended, if it can't be gone on with.
func (w *walk) whyStopped() error {
	switch w.stopped {
	case stoppedTooLong:
		return ErrTooLong
	case stoppedUnsettled:
		return ErrUnsteady
	case stoppedMoved:
		return conntrack.ErrPartial
	}
	return nil
}

// begin finds the table, of that many buckets.
func (w *walk) begin(size int) error {
	if size <= 0 || size%group != 0 {
		return fmt.Errorf("%w: it has %d buckets", ErrNoTable, size)
	}
	if err := w.marker.Insert(); err != nil {
		return fmt.Errorf("inserting an entry of its own: %w", err)
	}
	err := w.findTable()
	if err == nil && int(w.bucket) >= size {
		err = ErrNoTable
	}
	if err != nil {
		_ = w.marker.Delete() // it expires
		return err
	}
	w.next, w.until, w.marked = 0, uint32(size), 0
	return nil
}

// findTable tries more than once: the chains that it follows change.
func (w *walk) findTable() error {
	for range 3 {
		if err := w.find(); err != nil {
			return err
		}
		if w.table != 0 {
			return nil
		}
	}
	return ErrNoTable
}

// check proves that the table in use still is the one with the marker in that bucket. It is called right
// after a run: the kernel frees a table only when no program reads it any more, so that it can't have
// been given up and be in use again.
func (w *walk) check(table uint64, bucket uint32) error {
	err := w.findTable()
	switch {
	case w.sharedWalk.marker == 0: // somebody has flushed the table
		return conntrack.ErrPartial
	case err != nil:
		return err
	case w.table != table || w.bucket != bucket:
		return conntrack.ErrPartial
	}
	return nil
}

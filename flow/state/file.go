package state

import (
	"errors"
	"iter"
	"os"

	"github.com/conntally/conntally/flow"
)

// File is a state file that is open for this process alone. Its methods belong to
// one goroutine.
type File struct {
	log
	path   string
	lock   *os.File
	header header
	batch  batch
	base   int64 // about the size of the file without overridden records
	behind bool  // an Append failed since the last Replace
}

// Append adds what was exported; a record overrides an earlier one of its key. It
// doesn't keep all, and doesn't allocate. Up to 1024 records are written as one
// batch, which is restored whole or not at all.
//
// After an error, such as ENOSPC, the file stays usable and holds whole batches, perhaps the
// first ones of all. The rest is written by another Append of all, or by a Replace, which
// Grown then asks for.
func (f *File) Append(all []flow.Checkpoint) error {
	for i := range all {
		f.batch.add(&all[i])
		if f.batch.full() || i == len(all)-1 {
			if err := f.flush(&f.batch); err != nil {
				f.behind = true
				return err
			}
		}
	}
	return nil
}

// slack is how much a small file may grow, in bytes.
const slack = 1 << 20

// Grown reports whether a Replace is due: more than half of the file may be of overridden
// or ended entries, it is nearly as large as allowed, or an Append failed.
func (f *File) Grown() bool {
	return f.behind || f.size > 2*f.base+slack || f.records > f.most/8*7
}

// Size returns how many bytes the file has.
func (f *File) Size() int64 { return f.size }

// Replace replaces the file by a new one that holds all, atomically: a kill leaves
// one or the other. After an error the old one stays in use. all must have every living
// entry of which anything was exported or excluded.
func (f *File) Replace(all iter.Seq[flow.Checkpoint]) error {
	l, err := f.fresh(all)
	if err != nil {
		return err
	}
	if f.file != nil {
		f.file.Close()
	}
	f.log, f.base, f.behind = l, l.size, false
	return nil
}

// fresh writes a file beside the present one and renames it.
func (f *File) fresh(all iter.Seq[flow.Checkpoint]) (l log, err error) {
	path := f.path + ".tmp"
	l = log{most: mostRecords}
	if l.file, err = open(path, os.O_RDWR|os.O_CREATE|os.O_EXCL); err != nil {
		return l, err
	}
	if err = f.fill(&l, all); err == nil {
		err = os.Rename(path, f.path)
	}
	if err != nil {
		l.file.Close()
		_ = os.Remove(path)
	}
	return l, err
}

// fill writes a whole file.
func (f *File) fill(l *log, all iter.Seq[flow.Checkpoint]) error {
	if err := l.write(f.header.append(nil)); err != nil {
		return err
	}
	for s := range all {
		f.batch.add(&s)
		if f.batch.full() {
			if err := l.flush(&f.batch); err != nil {
				return err
			}
		}
	}
	return l.flush(&f.batch)
}

// Close closes the file and releases its lock.
func (f *File) Close() error {
	var err error
	if f.file != nil {
		err = f.file.Close()
	}
	f.lock.Close()
	return err
}

// mostRecords bounds a file, to 193 MB, and so the memory that reading it takes:
// 210 to 340 B for each record with a key of its own.
const mostRecords = 1 << 21

var errFull = errors.New("the state file holds as many records as would be read again")

// log writes to the end of a file.
type log struct {
	file    *os.File
	size    int64 // up to the end of the last whole batch
	records int
	most    int  // records
	torn    bool // there may be a part of a batch beyond size
}

// flush writes what b holds as one batch, by one write(2), and empties b. After an error the
// file ends where it ended before, or the next flush cuts it there.
func (l *log) flush(b *batch) error {
	defer b.reset()
	if b.count == 0 {
		return nil
	}
	if l.records+b.count > l.most {
		return errFull
	}
	if err := l.write(b.seal()); err != nil {
		return err
	}
	l.records += b.count
	return nil
}

func (l *log) write(b []byte) error {
	if l.torn {
		if err := l.cut(); err != nil {
			return err
		}
	}
	if _, err := l.file.WriteAt(b, l.size); err != nil {
		l.torn = true
		_ = l.cut()
		return err
	}
	l.size += int64(len(b))
	return nil
}

// cut removes what stands beyond the last whole batch.
func (l *log) cut() error {
	err := l.file.Truncate(l.size)
	l.torn = err != nil
	return err
}

package state

import (
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
// doesn't keep saved, and doesn't allocate. Up to 1024 records are written as one
// batch, which is restored whole or not at all.
//
// After an error, such as ENOSPC, the file holds whole batches, a beginning of
// saved perhaps among them, and can be used on. What is missing is brought by
// another Append of the same, or by a Replace, which Grown then asks for.
func (f *File) Append(saved []flow.Checkpoint) error {
	for i := range saved {
		f.batch.add(&saved[i])
		if f.batch.full() || i == len(saved)-1 {
			if err := f.flush(&f.batch); err != nil {
				f.behind = true
				return err
			}
		}
	}
	return nil
}

// slack is by how much a file may grow that holds little, in bytes.
const slack = 1 << 20

// Grown tells whether a Replace is due: more than half of the file may be
// overridden or ended, it is nearly as large as may be, or an Append failed.
func (f *File) Grown() bool {
	return f.behind || f.size > 2*f.base+slack || f.records > f.most/8*7
}

// Size returns how many bytes the file has.
func (f *File) Size() int64 { return f.size }

// Replace puts a new file that holds all in place of the present one, at once: a
// kill leaves one or the other. After an error the present one stays in use. all
// must have every living entry of which anything was exported or left out.
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

// Close closes the file and lets the next process have it.
func (f *File) Close() error {
	var err error
	if f.file != nil {
		err = f.file.Close()
	}
	f.lock.Close()
	return err
}

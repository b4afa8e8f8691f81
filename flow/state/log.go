package state

import (
	"errors"
	"os"
)

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

// flush writes what b holds as one batch, by one write(2), and empties b. After an
// error the file ends where it ended before, or the next flush sees to that.
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

package host

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// settled is the age at which a file counts as complete: until then it may change without a
// difference in its stamp, and it may be cut off.
const settled = 2 * time.Second

// stamp identifies the content of a file that was read.
type stamp struct {
	path         string
	device, node uint64
	size         int64
	mtime, ctime int64 // Unix time, in nanoseconds
	err          unix.Errno
}

// stampOf returns the stamp of a file without opening it.
func stampOf(path string) stamp {
	var s unix.Stat_t
	err := unix.Stat(path, &s)
	for err == unix.EINTR {
		err = unix.Stat(path, &s)
	}
	if err != nil {
		s := stamp{path: path}
		errors.As(err, &s.err) // it is always one
		return s
	}
	return stamp{
		path: path, node: s.Ino, size: s.Size,
		device: uint64(s.Dev), //nolint:unconvert // 32 bits on MIPS
		mtime:  s.Mtim.Nano(), ctime: s.Ctim.Nano(),
	}
}

func (s stamp) exists() bool { return s.err == 0 }

// missing reports whether the file doesn't exist, as opposed to one that can't be seen.
func (s stamp) missing() bool { return s.err == unix.ENOENT || s.err == unix.ENOTDIR }

// young reports whether a file was written just before wall, in Unix nanoseconds.
func (s stamp) young(wall int64) bool {
	age := wall - s.mtime
	return s.exists() && age >= 0 && age < int64(settled)
}

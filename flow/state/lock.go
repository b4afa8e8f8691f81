package state

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/flow/regular"
)

// ErrInUse means that another process has the file open.
var ErrInUse = errors.New("in use by another process")

// private is the mode of all files: they tell who talked to whom.
const private = 0o600

// lock takes the lock at path until it is closed. The file stays: whoever removed
// it would lock another than the next one.
func lock(path string) (*os.File, error) {
	file, err := open(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return file, nil
	}
	file.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrInUse
	}
	return nil, &os.PathError{Op: "lock", Path: path, Err: err}
}

// open opens a regular file, and doesn't follow a symbolic link.
func open(path string, flag int) (*os.File, error) {
	return regular.Open(path, flag|unix.O_NOFOLLOW, private)
}

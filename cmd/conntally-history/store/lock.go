package store

import (
	"errors"
	"os"
	"syscall"
)

// lock returns what keeps other programs from a run of a database until it is closed: a file beside
// it that is locked, as the database itself may yet be renamed. A program that is killed leaves
// the file, but no lock. Programs that only read or import take none.
//
// Whoever may open the directory may read the file, which is empty: so that one that root has
// left is no obstacle to the service.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDONLY|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrInUse
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/flow/host/lease"
	"github.com/conntally/conntally/flow/regular"
)

// largest bounds a file, in bytes.
const largest = 16 << 20

// leaseFile is a file of leases. One of Kea's includes the files that Kea keeps beside it: the
// result of its clean-up, or else the files that the clean-up reads.
type leaseFile struct {
	main, completed, second, first stamp
}

func newLeaseFile(path string) leaseFile {
	return leaseFile{
		stampOf(path), stampOf(path + ".completed"), stampOf(path + ".2"), stampOf(path + ".1"),
	}
}

// hidden reports whether the file's directory is a link whose target can't be seen.
func (f leaseFile) hidden() bool {
	dir := filepath.Dir(f.main.path)
	if info, err := os.Lstat(dir); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return false
	}
	return stampOf(dir).missing()
}

// missing reports whether neither the file nor one beside it exists. Kea renames its file
// before it writes a new one.
func (f leaseFile) missing() bool { return f.main.missing() && len(f.before()) == 0 }

// before returns the files whose leases are older than those of the main one, oldest first.
func (f leaseFile) before() []stamp {
	if f.completed.exists() {
		return []stamp{f.completed}
	}
	return slices.DeleteFunc([]stamp{f.second, f.first}, stamp.missing)
}

// read returns the leases, also with an error.
func (f leaseFile) read() ([]lease.Lease, error) {
	older := f.before()
	var main []byte
	var err error
	if !f.main.missing() || len(older) == 0 {
		if main, err = regular.Read(f.main.path, largest); err != nil {
			return nil, f.explain(err)
		}
	}
	if len(main) > 0 && !lease.IsKea(main) {
		return lease.Parse(main)
	}
	var contents [][]byte
	for _, s := range older {
		b, err := regular.Read(s.path, largest)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed since
		case err != nil:
			return nil, err
		case lease.IsKea(b):
			contents = append(contents, b)
		}
	}
	return lease.Parse(append(contents, main)...)
}

// explain returns why a file can't be read: a path may be that of a directory which can't be
// listed, and a file that can't be seen is in a directory that only its owner may enter.
func (f leaseFile) explain(err error) error {
	switch {
	case errors.Is(err, unix.EISDIR):
		if _, listing := os.ReadDir(f.main.path); listing != nil {
			return listing
		}
	case f.main.missing() && f.hidden():
		return &fs.PathError{Op: "open", Path: filepath.Dir(f.main.path), Err: errHidden}
	case f.main.err == unix.EACCES:
		return &fs.PathError{Op: "open", Path: filepath.Dir(f.main.path), Err: unix.EACCES}
	}
	return err
}

package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/regular"
)

// ErrOtherBoot means that the machine has booted since. Nothing is wrong: its
// connections are new.
var ErrOtherBoot = errors.New("of another boot")

// ErrOtherIDs means that connections had other IDs then, since another source was configured.
// Nothing is wrong, but none can be recognized.
var ErrOtherIDs = errors.New("of another [conntrack] source")

// Restored is what Open read.
type Restored struct {
	// Began is when the first run began to count, ns since 1970 (system
	// clock). A younger entry that is not in Checkpoints was never exported.
	Began int64
	// Checkpoints also has entries that ended since the last Replace.
	Checkpoints map[conntrack.Key]flow.Checkpoint
	// Torn is how many bytes of a last, incomplete batch were cut off.
	Torn int64
	// Refused is why the existing file is not used: it was renamed to
	// NAME.refused and a new one created. It is ErrOtherBoot after a reboot, and
	// nil if the file was accepted or if there was none.
	Refused error
}

// Open opens the file at path for one process and returns what it holds for id. If this is the
// first run, it begins at now, in ns since 1970. Open returns an error, such as ErrInUse, if
// no file can be kept at path: the program counts without one, too, but a restart isn't exact.
func Open(path string, id Identity, now int64) (*File, Restored, error) {
	l, err := lock(path + ".lock")
	if err != nil {
		return nil, Restored{}, err
	}
	f := &File{path: path, lock: l, batch: newBatch(), header: header{id: id, began: now}}
	restored, err := f.resume()
	if err != nil {
		f.Close()
		return nil, Restored{}, err
	}
	return f, restored, nil
}

// resume opens the file at path, or creates one.
func (f *File) resume() (Restored, error) {
	_ = os.Remove(f.path + ".tmp") // left by a killed process; if it stays, Replace fails
	file, err := open(f.path, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return f.begin(nil)
	}
	if err != nil {
		return Restored{}, err
	}
	restored, err := f.restore(file)
	if err == nil {
		return restored, f.cut()
	}
	file.Close()
	if err := os.Rename(f.path, f.path+".refused"); err != nil {
		return Restored{}, err
	}
	return f.begin(fmt.Errorf("%s: %w", f.path, err))
}

// begin creates an empty file at path.
func (f *File) begin(refused error) (Restored, error) {
	err := f.Replace(func(func(flow.Checkpoint) bool) {})
	none := map[conntrack.Key]flow.Checkpoint{}
	return Restored{Began: f.header.began, Checkpoints: none, Refused: refused}, err
}

// restore reads file, and continues it if nothing is wrong with it.
func (f *File) restore(file *os.File) (Restored, error) {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return Restored{}, err
	}
	r := reader{
		from: io.NewSectionReader(file, 0, end), buf: f.batch.buf[:batchSize], most: mostRecords,
		hint: int(min(end/recordSize, mostHint)),
	}
	err = r.all(&f.header.id)
	f.batch.reset()
	if err != nil {
		return Restored{}, err
	}
	f.header.began = r.header.began
	f.log = log{file: file, size: r.size, records: r.records, most: mostRecords}
	f.base = int64(len(r.checkpoints)) * recordSize
	return Restored{Began: r.header.began, Checkpoints: r.checkpoints, Torn: end - r.size}, nil
}

// ErrInUse means that another process has the file open.
var ErrInUse = errors.New("in use by another process")

// private is the mode of all files: they show who communicated with whom.
const private = 0o600

// lock locks the file at path until it is closed. The file is never removed: two
// processes could hold locks on two files of that name.
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

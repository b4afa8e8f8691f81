package state

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// tmpfs mounts a file system at dir that only this test sees.
func tmpfs(t *testing.T, dir string, flags uintptr, options string) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Skipf("no mount namespace: %v", err)
	}
	must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(t, unix.Mount("conntally-test", dir, "tmpfs", flags, options))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
}

func TestDiskFullKeepsWholeBatches(t *testing.T) {
	dir := t.TempDir()
	tmpfs(t, dir, 0, "size=256k")
	path := filepath.Join(dir, "flows")
	f, _ := start(t, path)
	full := fill(t, f, path)
	if err := f.Replace(slices.Values(saved(0, full))); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Replace: %v", err)
	}
	if got := files(t, path); !slices.Equal(got, []string{"flows", "flows.lock"}) {
		t.Errorf("left: %q", got)
	}
	// A process that is killed now finds what was written.
	must(t, f.Close())
	if r := holds(t, path, byKey(saved(0, full))); r.Torn != 0 {
		t.Errorf("%d bytes torn", r.Torn)
	}
	f, _ = start(t, path)
	must(t, unix.Mount("", dir, "", unix.MS_REMOUNT, "size=1m"))
	must(t, f.Append(saved(full, 2000)))
	must(t, f.Replace(slices.Values(saved(5, full))))
	if f.Grown() {
		t.Error("grown after a Replace")
	}
	must(t, f.Close())
	holds(t, path, byKey(saved(5, full)))
}

// fill appends until the disk is full, and then small batches, and returns how many
// records were taken.
func fill(t *testing.T, f *File, path string) (n int) {
	t.Helper()
	for _, size := range []int{700, 100, 10, 1} {
		for {
			err := f.Append(saved(n, size))
			if st, err := os.Stat(path); err != nil || st.Size() != f.Size() {
				t.Fatalf("%d B, want %d, %v", st.Size(), f.Size(), err)
			}
			if errors.Is(err, unix.ENOSPC) {
				break
			}
			must(t, err)
			n += size
		}
	}
	if !f.Grown() {
		t.Error("what is missing is forgotten")
	}
	return n
}

// A file that can't be cut back isn't written to until it can.
func TestFailedTruncateIsRetried(t *testing.T) {
	path, _ := kept(t, saved(0, 3))
	f, _ := start(t, path)
	good := f.file
	f.file, _ = os.Open(path) // for reading only
	if err := f.Append(saved(3, 3)); err == nil || !f.torn {
		t.Errorf("%v, torn %v", err, f.torn)
	}
	f.file.Close()
	f.file = good
	_, err := good.WriteAt(make([]byte, 5000), f.size) // what stayed of a long batch
	must(t, err)
	must(t, f.Append(saved(6, 3)))
	must(t, f.Close())
	holds(t, path, byKey(saved(0, 3), saved(6, 3)))
}

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

// refusesToOpen checks that Open fails for good, and leaves what it found.
func refusesToOpen(t *testing.T, path string, want error) {
	t.Helper()
	f, r, err := Open(path, here, began)
	if err == nil || want != nil && !errors.Is(err, want) || f != nil || r.Checkpoints != nil {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestMissingDirectoryIsAnError(t *testing.T) {
	refusesToOpen(t, filepath.Join(t.TempDir(), "nowhere", "flows"), os.ErrNotExist)
}

func TestReadOnlyDirectoryIsAnError(t *testing.T) {
	dir := t.TempDir()
	want := error(unix.EACCES)
	if os.Getuid() == 0 {
		tmpfs(t, dir, unix.MS_RDONLY, "")
		want = unix.EROFS
	} else {
		must(t, os.Chmod(dir, 0o500))
	}
	refusesToOpen(t, filepath.Join(dir, "flows"), want)
}

func TestSymlinkIsNotFollowed(t *testing.T) {
	all := saved(0, 3)
	for _, suffix := range []string{"", ".lock"} {
		target, before := kept(t, all)
		path := fileName(t)
		must(t, os.Symlink(target, path+suffix))
		refusesToOpen(t, path, nil)
		if after, err := os.ReadFile(target); err != nil || !slices.Equal(before, after) {
			t.Errorf("%q: the target is now %d B, %v", suffix, len(after), err)
		}
	}
}

// What a Replace or a refusal writes doesn't follow a link either.
func TestSymlinkAtOtherFilesIsNotFollowed(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	must(t, os.WriteFile(victim, []byte("precious"), 0o600))
	path, _ := kept(t, saved(0, 3))
	f, _ := start(t, path)
	must(t, os.Symlink(victim, path+".tmp"))
	if err := f.Replace(slices.Values(saved(0, 1))); err == nil {
		t.Error("replaced through a link")
	}
	must(t, f.Close())
	must(t, os.Symlink(victim, path+".refused"))
	must(t, os.WriteFile(path, []byte("wrong"), 0o600))
	if _, r := start(t, path); r.Refused == nil {
		t.Error("not refused")
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "precious" {
		t.Errorf("the victim is %q, %v", b, err)
	}
}

func TestOnlyRegularFilesAreOpened(t *testing.T) {
	path := fileName(t)
	must(t, os.Mkdir(path, 0o700))
	refusesToOpen(t, path, unix.EISDIR)
	path = fileName(t)
	must(t, unix.Mkfifo(path, 0o600))
	refusesToOpen(t, path, nil)
}

func TestSecondProcessGetsErrInUse(t *testing.T) {
	path := fileName(t)
	f, _ := start(t, path)
	refusesToOpen(t, path, ErrInUse)
	must(t, f.Replace(slices.Values(saved(0, 3)))) // another inode
	refusesToOpen(t, path, ErrInUse)
	must(t, f.Append(saved(3, 3)))
	must(t, f.Close())
	holds(t, path, byKey(saved(0, 6)))
}

// A refusal to open must not keep the lock.
func TestFailedOpenReleasesLock(t *testing.T) {
	path := fileName(t)
	must(t, os.Mkdir(path, 0o700))
	refusesToOpen(t, path, unix.EISDIR)
	must(t, os.Remove(path))
	holds(t, path, entries{})
}

func TestIdentityOfThisThread(t *testing.T) {
	a, err := Here()
	must(t, err)
	b, err := Here()
	must(t, err)
	if a != b || a.Boot == [16]byte{} || a.Namespace == 0 {
		t.Errorf("%+v, then %+v", a, b)
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("no network namespace: %v", err)
	}
	c, err := Here()
	must(t, err)
	if c.Boot != a.Boot || c.Namespace == a.Namespace || a.Cookie != 0 && c.Cookie == a.Cookie ||
		a.check(&c) == nil {
		t.Errorf("%+v in another namespace than %+v", c, a)
	}
}

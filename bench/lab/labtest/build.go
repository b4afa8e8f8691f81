package labtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Build builds a program of cmd/ and returns its path. The test is in a directory of the module's
// root.
func Build(t testing.TB, program string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "conntally-build-") // only its owner gets into t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, program)
	cmd := exec.Command("go", "build", "-o", path, "../cmd/"+program)
	cmd.Env = append(cmd.Environ(), "GOTMPDIR="+dir)
	if c := AsCaller(t, cmd); c != nil {
		if err := os.Chown(dir, int(c.Uid), int(c.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// AsCaller has cmd run as the user who called .ci/as-root, and with that user's home, which has the
// caches that go fills. It returns who that is, or nil and changes nothing if there is none.
func AsCaller(t testing.TB, cmd *exec.Cmd) *syscall.Credential {
	t.Helper()
	text := os.Getenv("CONNTALLY_CALLER") // UID:GID:HOME
	if text == "" || os.Geteuid() != 0 {
		return nil
	}
	ids, home, _ := strings.Cut(text, "/")
	var c syscall.Credential
	if _, err := fmt.Sscanf(ids, "%d:%d:", &c.Uid, &c.Gid); err != nil || home == "" {
		t.Fatalf("CONNTALLY_CALLER is %q: %v", text, err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &c}
	cmd.Env = append(cmd.Environ(), "HOME=/"+home)
	return &c
}

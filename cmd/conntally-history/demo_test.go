package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conntally/conntally/bench/lab"
)

// TestDemoAccountsForEveryByte: what history keeps is what nftables counted, and nothing stays
// behind.
func TestDemoAccountsForEveryByte(t *testing.T) {
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	code, stdout, stderr := execute("demo")
	if code != 0 || !strings.Contains(stdout, "\nEvery packet and byte is accounted for.\n") ||
		!strings.Contains(stdout, "\nclient ") ||
		!strings.Contains(stdout, "tcp [2001:db8:100::20]:443") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if left, _ := filepath.Glob(os.Getenv("TMPDIR") + "/*"); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
}

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
)

// execute runs a command line, and returns its exit code and output.
func execute(args ...string) (code int, stdout, stderr string) {
	var out, fault bytes.Buffer
	code = run(context.Background(), args, &out, &fault)
	return code, out.String(), fault.String()
}

// need skips the test where a program is not installed.
func need(t *testing.T, program string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin") {
		path := filepath.Join(dir, program)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path
		}
	}
	t.Skipf("%s is not installed: make tools", program)
	return ""
}

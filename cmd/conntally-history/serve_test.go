package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// --check-config says whether a file is good, and neither opens a socket nor a database.
func TestServeChecksItsConfiguration(t *testing.T) {
	for name, tc := range map[string]struct {
		text, stdout, stderr string
		code                 int
	}{
		"good":      {"[database]\npath = \"/does/not/exist\"\n", "FILE: ok\n", "", 0},
		"unknown":   {"[databas]\n", "", "databas", 2},
		"dangerous": {"[web]\nlisten = \"0.0.0.0:80\"\n", "", "password", 2},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "history.toml")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), []string{"serve", "--check-config", "--config", path},
				&stdout, &stderr)
			if out := strings.ReplaceAll(stdout.String(), path, "FILE"); code != tc.code ||
				out != tc.stdout || !strings.Contains(stderr.String(), tc.stderr) {
				t.Errorf("exit %d\n%s\n%s", code, out, &stderr)
			}
		})
	}
}

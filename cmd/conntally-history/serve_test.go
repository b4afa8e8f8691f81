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

// TestMissingFileMayComeLater: without a file that the configuration names, the program ends with
// another status than for a wrong configuration, which the service manager doesn't try again.
func TestMissingFileMayComeLater(t *testing.T) {
	for name, tc := range map[string]struct {
		web    string
		stderr string
		code   int
	}{
		"password":    {`user = "anna"` + "\npassword_file = \"DIR/later\"", "password_file", 1},
		"certificate": {`certificate = "DIR/later"` + "\nkey = \"DIR/later\"", "certificate", 1},
		"empty":       {`user = "anna"` + "\npassword_file = \"DIR/empty\"", "is empty", 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			text := "[collector]\naddress = \"127.0.0.1:0\"\n[web]\n" + tc.web + "\n"
			for file, text := range map[string]string{"toml": text, "empty": ""} {
				text = strings.ReplaceAll(text, "DIR", dir)
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			code, _, stderr := execute("serve", "--config", filepath.Join(dir, "toml"),
				"--database", filepath.Join(dir, "history.db"))
			if code != tc.code || !strings.Contains(stderr, tc.stderr) {
				t.Errorf("exit %d, want %d\n%s", code, tc.code, stderr)
			}
		})
	}
}

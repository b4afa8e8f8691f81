package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestFailureIsReportedInFormatOfLog: the last line of a log is like the others, if the format
// can be read.
func TestFailureIsReportedInFormatOfLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "conntally.toml")
	failure := errors.New("two\nlines")
	const text = "conntally: two\nlines\n"
	for _, c := range []struct {
		file string
		args []string
		json bool
	}{
		{"log.format = \"json\"", []string{"run", "--config", file}, true},
		{"log.format = \"json\"", []string{"check", "--config", file}, false},
		{"log.format = \"console\"", []string{"run", "--config", file}, false},
		{"log.format = \"jsn\"", []string{"run", "--config", file}, false},
		{"", []string{"run", "--nonsense"}, false},
		{"", nil, false},
	} {
		if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		program().Report(&said, c.args, failure)
		var line struct{ Level, Msg, Error string }
		switch err := json.Unmarshal(said.Bytes(), &line); {
		case c.json && (err != nil || line.Level != "error" || line.Error != failure.Error()):
			t.Errorf("%s %v: said %s, %v", c.file, c.args, &said, err)
		case !c.json && said.String() != text:
			t.Errorf("%s %v: said %s", c.file, c.args, &said)
		}
	}
}

package terminal

import (
	"bytes"
	"os"
	"testing"
)

// Colours are for terminals, and for those who want them.
func TestColours(t *testing.T) {
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	defer pty.Close()
	for _, c := range []struct {
		noColor, term string
		want          bool
	}{{"", "xterm", true}, {"1", "xterm", false}, {"", "dumb", false}, {"", "", true}} {
		t.Setenv("NO_COLOR", c.noColor)
		t.Setenv("TERM", c.term)
		if got := Colourful(pty); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
		file, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		if Colourful(file) || Colourful(new(bytes.Buffer)) {
			t.Errorf("%+v: colours in a file", c)
		}
		file.Close()
	}
}

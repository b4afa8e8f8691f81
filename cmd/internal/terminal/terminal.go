// Package terminal says what a program's output is shown on.
package terminal

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Of returns the terminal behind w, or nil if it is none.
func Of(w io.Writer) *os.File {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return f
}

// Columns returns the number of columns of the terminal behind w; 0 if it is none.
func Columns(w io.Writer) int {
	f := Of(w)
	if f == nil {
		return 0
	}
	if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
		return columns
	}
	return 80
}

// Colourful reports whether w is a terminal whose user wants colours (no-color.org).
func Colourful(w io.Writer) bool {
	return Of(w) != nil && os.Getenv("NO_COLOR") == "" && !IsDumb()
}

// IsDumb reports whether the terminal knows no escape sequences.
func IsDumb() bool { return os.Getenv("TERM") == "dumb" }

package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// terminalOf returns the terminal behind w, or nil if it is none.
func terminalOf(w io.Writer) *os.File {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return f
}

// columnsOf returns the number of columns of the terminal behind w; 0 if it is none.
func columnsOf(w io.Writer) int {
	f := terminalOf(w)
	if f == nil {
		return 0
	}
	if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
		return columns
	}
	return 80
}

// colourful reports whether w is a terminal whose user wants colours (no-color.org).
func colourful(w io.Writer) bool {
	return terminalOf(w) != nil && os.Getenv("NO_COLOR") == "" && !isDumb()
}

// isDumb reports whether the terminal knows no escape sequences.
func isDumb() bool { return os.Getenv("TERM") == "dumb" }

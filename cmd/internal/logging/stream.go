package logging

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// journalReads reports whether w is the stream to the journal that systemd names in
// $JOURNAL_STREAM. That it is set isn't enough: standard error may be redirected.
func journalReads(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	var s unix.Stat_t
	if unix.Fstat(int(f.Fd()), &s) != nil {
		return false
	}
	return os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", s.Dev, s.Ino)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

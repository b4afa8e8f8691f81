package ctnetlink

import (
	"errors"
	"os"
	"testing"
	"time"
)

// TestRuntimeDoesNotPollSocket relies on that only a polled file has deadlines.
func TestRuntimeDoesNotPollSocket(t *testing.T) {
	s, err := openSocket(0, 1, dumpBuffer, noSetup)
	if err != nil {
		t.Skip(err)
	}
	defer s.Close()
	if err := s.file.SetReadDeadline(time.Now()); !errors.Is(err, os.ErrNoDeadline) {
		t.Errorf("a deadline on the socket: %v, want %v", err, os.ErrNoDeadline)
	}
}

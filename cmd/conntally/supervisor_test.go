package main

import (
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// supervisor is to a process what systemd is to a service with Type=notify and
// WatchdogSec=.
type supervisor struct {
	t    *testing.T
	conn *net.UnixConn
}

// supervise has the processes started from now on tell how they fare, and give a
// sign of life in each period.
func supervise(t *testing.T, period time.Duration) *supervisor {
	t.Helper()
	address := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", address)
	t.Setenv("WATCHDOG_USEC", strconv.FormatInt(period.Microseconds(), 10))
	return &supervisor{t: t, conn: conn}
}

// hears returns the next message's lines, or nil where none comes for so long.
func (s *supervisor) hears(within time.Duration) []string {
	s.t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		s.t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := s.conn.Read(b)
	if err != nil {
		return nil
	}
	return strings.Split(string(b[:n]), "\n")
}

// until waits for a message with that line and returns it and those before it.
func (s *supervisor) until(line string) (lines []string) {
	s.t.Helper()
	for !slices.Contains(lines, line) {
		message := s.hears(patience)
		if message == nil {
			s.t.Fatalf("waited in vain for %q; heard %q", line, lines)
		}
		lines = append(lines, message...)
	}
	return lines
}

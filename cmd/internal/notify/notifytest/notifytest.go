// Package notifytest is a service manager for tests: it receives what a process sends
// systemd.
//
//	s := notifytest.New(t, time.Second)
//	// start the process, which inherits the environment
//	s.Until(notify.Ready)
package notifytest

import (
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait; none is expected to take this long.
const patience = 90 * time.Second

// Supervisor is to a process what systemd is to a service with Type=notify and
// WatchdogSec=.
type Supervisor struct {
	t    testing.TB
	conn *net.UnixConn
}

// New has the processes started from now on, and this one, report to the Supervisor that
// it returns, and give a sign of life in each period.
func New(t testing.TB, period time.Duration) *Supervisor {
	t.Helper()
	address := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", address)
	t.Setenv("WATCHDOG_USEC", strconv.FormatInt(period.Microseconds(), 10))
	return &Supervisor{t: t, conn: conn}
}

// Receive returns the next message's lines, or nil where none comes within that time.
func (s *Supervisor) Receive(within time.Duration) []string {
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

// Until waits for a message with that line and returns it and those before it.
func (s *Supervisor) Until(line string) (lines []string) {
	s.t.Helper()
	for !slices.Contains(lines, line) {
		message := s.Receive(patience)
		if message == nil {
			s.t.Fatalf("waited in vain for %q; received %q", line, lines)
		}
		lines = append(lines, message...)
	}
	return lines
}

package notify_test

import (
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/internal/notify"
)

// listen opens a service manager's socket and sets $NOTIFY_SOCKET to it.
func listen(t *testing.T, address string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", address)
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("WATCHDOG_PID", "")
	return conn
}

// heard returns the lines received so far. It sends a marker to know the end of them.
func heard(t *testing.T, conn *net.UnixConn, m *notify.Manager) (messages []string) {
	t.Helper()
	const mark = "the end"
	m.Notify(mark)
	for b := make([]byte, 1000); ; {
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if string(b[:n]) == mark {
			return messages
		}
		messages = append(messages, string(b[:n]))
	}
}

// silent returns a report function that fails the test.
func silent(t *testing.T) func(error) {
	return func(err error) { t.Error(err) }
}

// TestNotifySendsLinesInOneMessage: to sockets in the file system and abstract ones.
func TestNotifySendsLinesInOneMessage(t *testing.T) {
	for _, address := range []string{
		filepath.Join(t.TempDir(), "notify"),
		fmt.Sprintf("@conntally-notify-test-%d", os.Getpid()), // an abstract one
	} {
		conn := listen(t, address)
		m := notify.New(silent(t))
		m.Notify(notify.Ready, notify.Status("at work"))
		m.Notify(notify.Stopping)
		got := fmt.Sprintf("%q", heard(t, conn, m))
		if want := `["READY=1\nSTATUS=at work" "STOPPING=1"]`; got != want {
			t.Errorf("%s: heard %s, want %s", address, got, want)
		}
	}
}

// TestStartingAsksForMoreTime: at once, and never after it has started.
func TestStartingAsksForMoreTime(t *testing.T) {
	conn := listen(t, filepath.Join(t.TempDir(), "notify"))
	m := notify.New(silent(t))
	started := m.Starting()
	started()
	m.Notify(notify.Ready)
	got := fmt.Sprintf("%q", heard(t, conn, m))
	if want := `["EXTEND_TIMEOUT_USEC=90000000" "READY=1"]`; got != want {
		t.Errorf("heard %s, want %s", got, want)
	}
	new(notify.Manager).Starting()()
}

// TestReloadingHasMonotonicTime: as systemd requires, and no empty line.
func TestReloadingHasMonotonicTime(t *testing.T) {
	var usec uint64
	if n, err := fmt.Sscanf(notify.Reloading(), "RELOADING=1\nMONOTONIC_USEC=%d", &usec); n != 1 || err != nil || usec == 0 {
		t.Errorf("%q", notify.Reloading())
	}
	if strings.HasSuffix(notify.Reloading(), "\n") {
		t.Errorf("%q ends a line that Notify ends", notify.Reloading())
	}
}

// TestHeartbeatsThreeTimesPerPeriod: of $WATCHDOG_USEC, or none without it.
func TestHeartbeatsThreeTimesPerPeriod(t *testing.T) {
	const second = int64(time.Second)
	own, other := fmt.Sprint(os.Getpid()), fmt.Sprint(os.Getpid()+1)
	cases := []struct {
		name, usec, pid string
		calls           []int64 // at these seconds
		signs           int
		due             int64
	}{
		{"no watchdog", "", "", []int64{0, 1000}, 0, math.MaxInt64},
		{"the first at once", "30000000", own, []int64{5}, 1, 15 * second},
		{"one in each third", "30000000", "", []int64{0, 3, 9, 10, 11, 19, 20}, 3, 30 * second},
		{"a late one", "30000000", own, []int64{0, 25}, 2, 35 * second},
		{"of another process", "30000000", other, []int64{0, 30}, 0, math.MaxInt64},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conn := listen(t, filepath.Join(t.TempDir(), "notify"))
			t.Setenv("WATCHDOG_USEC", c.usec)
			t.Setenv("WATCHDOG_PID", c.pid)
			m := notify.New(silent(t))
			var due int64
			for _, at := range c.calls {
				due = m.Alive(at * second)
			}
			got := heard(t, conn, m)
			if len(got) != c.signs || due != c.due {
				t.Errorf("heard %q, due %d; want %d signs, due %d", got, due, c.signs, c.due)
			}
			for _, message := range got {
				if message != "WATCHDOG=1" {
					t.Errorf("heard %q", message)
				}
			}
		})
	}
}

// TestWithoutManagerNothingIsSent: and nothing is reported.
func TestWithoutManagerNothingIsSent(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "30000000")
	m := notify.New(silent(t))
	m.Notify(notify.Ready)
	if due := m.Alive(0); due != math.MaxInt64 {
		t.Errorf("due %d", due)
	}
}

// TestFailuresOfManagerAreReported: and none blocks the program.
func TestFailuresOfManagerAreReported(t *testing.T) {
	var reports []error
	report := func(err error) { reports = append(reports, err) }
	for _, c := range []struct {
		name string
		fail func()
	}{
		{"the socket is gone", func() {
			t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
			notify.New(report).Notify(notify.Ready)
		}},
		{"a period that is none", func() {
			t.Setenv("WATCHDOG_USEC", "soon")
			notify.New(report)
		}},
		{"nobody reads", func() {
			listen(t, filepath.Join(t.TempDir(), "notify"))
			m := notify.New(report)
			for len(reports) == 0 { // until its queue is full
				m.Notify(notify.Ready)
			}
		}},
	} {
		reports = nil
		if c.fail(); len(reports) != 1 {
			t.Errorf("%s: reports %v, want one", c.name, reports)
		}
	}
}

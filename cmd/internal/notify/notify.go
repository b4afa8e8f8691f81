// Package notify reports the program's state to the service manager, as sd_notify(3)
// describes. Without a manager it does nothing.
//
//	Notify(Ready), Alive(now) -> datagrams to $NOTIFY_SOCKET
package notify

import (
	"math"
	"net"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// States of a service.
const (
	Ready    = daemon.SdNotifyReady // has started, or has finished reloading
	Stopping = daemon.SdNotifyStopping
)

// sendTimeout bounds the wait for a manager that doesn't read.
const sendTimeout = 2 * time.Second

// Manager is the service manager. The zero Manager does nothing. Only one goroutine may use
// it: the one that the manager is to watch.
type Manager struct {
	address  string        // of its socket; "": no manager
	interval time.Duration // between two heartbeats; 0: it expects none
	due      int64         // when the next one is due, monotonic
	report   func(error)
}

// New returns the manager that started the process, by $NOTIFY_SOCKET and $WATCHDOG_USEC.
// Its methods call report with their errors.
func New(report func(error)) *Manager {
	m := &Manager{address: os.Getenv("NOTIFY_SOCKET"), report: report}
	period, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		report(err)
	}
	m.interval = period / 3 // in time even if one is late
	return m
}

// Status returns a line that shows text as the service's status.
func Status(text string) string { return "STATUS=" + text }

// A manager that is asked for more time waits as long for the next message, at least.
const (
	moreTime = "EXTEND_TIMEOUT_USEC=90000000"
	askAgain = 20 * time.Second
)

// Starting asks the manager for more time to start, until started is called. Nothing else may use m
// in between.
func (m *Manager) Starting() (started func()) {
	if m.address == "" {
		return func() {}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			m.Notify(moreTime)
			select {
			case <-stop:
				return
			case <-time.After(askAgain):
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped
	}
}

// Reloading returns the lines that announce a reload. Ready must follow, whether or not the
// reload succeeds.
func Reloading() string {
	return daemon.SdNotifyReloading + "\n" + strings.TrimSuffix(daemon.SdNotifyMonotonicUsec(), "\n")
}

// Notify sends lines in one message.
func (m *Manager) Notify(lines ...string) {
	if m.address == "" {
		return
	}
	if err := m.send(strings.Join(lines, "\n")); err != nil {
		m.report(err)
	}
}

// Alive sends a heartbeat if one is due at now, of a monotonic clock, and returns when to
// call it again at the latest.
func (m *Manager) Alive(now int64) (due int64) {
	if m.address == "" || m.interval == 0 {
		return math.MaxInt64
	}
	if now >= m.due {
		m.Notify(daemon.SdNotifyWatchdog)
		m.due = now + int64(m.interval)
	}
	return m.due
}

// send does what the library's SdNotify does, but with a timeout.
func (m *Manager) send(message string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: m.address})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(message))
	return err
}

// Package notify tells the service manager how the program fares, as sd_notify(3)
// describes it. Where no manager listens, it does nothing.
//
//	Tell(Ready), Alive(now) -> datagrams to $NOTIFY_SOCKET
package notify

import (
	"math"
	"net"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// What a service tells of itself.
const (
	Ready    = daemon.SdNotifyReady // has started, or is done with reloading
	Stopping = daemon.SdNotifyStopping
)

// patience bounds the wait for a manager that doesn't read: it has hung, and the
// router goes on without it.
const patience = 2 * time.Second

// Manager is the service manager; the zero Manager is none. It belongs to one goroutine: the one whose life it
// is to watch.
type Manager struct {
	address  string        // of its socket; "" = there is none
	interval time.Duration // between two signs of life; 0 = it wants none
	due      int64         // the next one, monotonic
	report   func(error)
}

// New returns the manager that has started the process, as $NOTIFY_SOCKET and
// $WATCHDOG_USEC tell. What fails is reported and is no reason to stop.
func New(report func(error)) *Manager {
	m := &Manager{address: os.Getenv("NOTIFY_SOCKET"), report: report}
	period, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		report(err)
	}
	m.interval = period / 3 // in time, even when one comes late
	return m
}

// Status is a line for people about how the service fares.
func Status(text string) string { return "STATUS=" + text }

// Reloading is said when the configuration is about to be read again; Ready is said
// after it, whether or not the configuration was good.
func Reloading() string {
	return daemon.SdNotifyReloading + "\n" + strings.TrimSuffix(daemon.SdNotifyMonotonicUsec(), "\n")
}

// Tell passes lines on, in one message.
func (m *Manager) Tell(lines ...string) {
	if m.address == "" {
		return
	}
	if err := m.send(strings.Join(lines, "\n")); err != nil {
		m.report(err)
	}
}

// Alive gives a sign of life where one is due at now, of a monotonic clock, and
// returns when it is to be called again at the latest.
func (m *Manager) Alive(now int64) (due int64) {
	if m.address == "" || m.interval == 0 {
		return math.MaxInt64
	}
	if now >= m.due {
		m.Tell(daemon.SdNotifyWatchdog)
		m.due = now + int64(m.interval)
	}
	return m.due
}

// send is the library's SdNotify, which would wait without end.
func (m *Manager) send(message string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: m.address})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(message))
	return err
}

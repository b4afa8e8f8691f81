package route

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// groups are the multicast groups of everything that decides where packets go.
func groups() (mask uint32) {
	for _, group := range []uint{
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE,
		unix.RTNLGRP_IPV6_RULE,
		unix.RTNLGRP_NEXTHOP, unix.RTNLGRP_IPV4_MROUTE, unix.RTNLGRP_IPV6_MROUTE,
		unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF,
	} {
		mask |= 1 << (group - 1)
	}
	return mask
}

const (
	// Changes come in bursts. The first is applied at once, those that follow are applied
	// together.
	breath = 20 * time.Millisecond
	burst  = 1000 // datagrams

	readShare   = 50          // reading again takes at most one in so many parts of the time
	readRetry   = time.Second // after a reading that failed
	errorBreath = time.Second
)

// watcher follows the notifications. All but close belongs to one goroutine.
type watcher struct {
	state   state
	changes changeLog
	mu      sync.Mutex // of events, while it is replaced
	events  ctnetlink.Socket
	closed  bool
	dumps   requests
	dial    dial
	clock   conntrack.Clock
	stats   *Stats
	version uint32 // of the view that will have the present changes

	broken   bool  // events is broken
	outdated bool  // the policy is to be read
	lost     bool  // and all else
	readAt   int64 // not before, monotonic
}

// next waits for changes and applies them. It returns when routes may have changed. An error
// means that the socket can't be used any more.
func (w *watcher) next() error {
	if w.broken {
		if err := w.reopen(); err != nil {
			return err
		}
	}
	for {
		moved, err := w.collect(w.wait())
		if err != nil {
			return err
		}
		moved = w.reread() || moved
		if moved {
			return nil
		}
	}
}

// reopen replaces a broken socket, and has everything read again that it would have notified.
func (w *watcher) reopen() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return net.ErrClosed
	}
	s, err := w.dial(groups())
	if err != nil {
		return err
	}
	w.events.Close()
	w.events, w.broken, w.lost = s, false, true
	w.stats.Reopened.Add(1)
	return nil
}

// close ends next.
func (w *watcher) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	return w.events.Close()
}

// wait returns how long to wait for notifications.
func (w *watcher) wait() time.Duration {
	if !w.outdated && !w.lost {
		return forever
	}
	return max(time.Duration(w.readAt-w.clock().Mono), time.Millisecond)
}

// collect applies the notifications that have come, and reports whether routes may have
// changed.
func (w *watcher) collect(wait time.Duration) (moved bool, err error) {
	for range burst {
		b, err := w.events.Recv(wait)
		switch {
		case err == nil:
			moved = w.take(b) || moved
		case errors.Is(err, os.ErrDeadlineExceeded):
			return moved, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS), errors.Is(err, ctnetlink.ErrMalformed):
			w.stats.Overruns.Add(1)
			w.miss()
			moved = true
		default:
			return moved, err
		}
		wait = 0
	}
	return moved, nil
}

// take applies one datagram.
func (w *watcher) take(b []byte) (moved bool) {
	for len(b) > 0 {
		m, rest, err := nextMessage(b)
		if err != nil {
			w.stats.Malformed.Add(1)
			w.miss()
			return true
		}
		e, err := w.apply(&w.state, &m)
		if err != nil {
			w.miss()
		}
		moved = moved || e.changed || err != nil
		w.outdated = w.outdated || e.outdated
		w.note(e)
		b = rest
	}
	return moved
}

// miss has everything read again after a notification was lost or couldn't be decoded: it may
// have been any change.
func (w *watcher) miss() {
	w.lost = true
	w.note(effect{changed: true})
}

func (w *watcher) apply(s *state, m *message) (effect, error) {
	e, err := s.apply(m)
	if err != nil {
		w.stats.Malformed.Add(1)
	}
	return e, err
}

// note logs a change.
func (w *watcher) note(e effect) {
	if e.changed {
		w.changes.add(change{e.scope, w.version, w.clock().Mono})
	}
}

// reread reads again what notifications don't show, if that is due, and reports whether it
// did.
func (w *watcher) reread() bool {
	began := w.clock().Mono
	if !w.outdated && !w.lost || began < w.readAt {
		return false
	}
	lost := w.lost
	if err := w.read(); err != nil {
		w.stats.Failures.Add(1)
		w.readAt = began + int64(readRetry)
		return false
	}
	if lost {
		w.note(effect{changed: true})
	}
	w.readAt = began + readShare*(w.clock().Mono-began)
	return true
}

// read reads the policy, and everything else if notifications were lost.
func (w *watcher) read() error {
	if w.dumps.broken {
		s, err := w.dial(0)
		if err != nil {
			return err
		}
		w.dumps.socket.Close()
		w.dumps = requests{socket: s}
		w.stats.Reopened.Add(1)
	}
	fresh := newState()
	take := func(m *message) { _, _ = w.apply(&fresh, m) } // counted
	kinds := []objects{{unix.RTM_GETRULE, 0}, {unix.RTM_GETROUTE, 0}}
	if w.lost {
		kinds = append(kinds, objects{unix.RTM_GETROUTE, familyIPMR},
			objects{unix.RTM_GETROUTE, familyIP6MR},
			objects{unix.RTM_GETLINK, 0}, objects{unix.RTM_GETADDR, 0})
	}
	for _, k := range kinds {
		if err := w.dumps.dump(k.request, k.family, take); err != nil {
			return err
		}
	}
	if !w.lost {
		fresh.devices, fresh.addresses, fresh.multicast = w.state.devices, w.state.addresses,
			w.state.multicast
	}
	w.state, w.lost, w.outdated = fresh, false, false
	return nil
}

// objects are what one dump shows.
type objects struct {
	request uint16
	family  uint8 // 0 is any
}

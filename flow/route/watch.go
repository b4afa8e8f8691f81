package route

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// groups are the multicast groups of what has a say in where packets go.
func groups() (mask uint32) {
	for _, group := range []uint{
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
		unix.RTNLGRP_NEXTHOP,
	} {
		mask |= 1 << (group - 1)
	}
	return mask
}

const (
	// Changes come in bursts. The first is heeded at once, those that follow
	// together.
	breath = 20 * time.Millisecond
	burst  = 1000 // datagrams

	readShare   = 20          // reading anew takes at most one in so many parts of the time
	readRetry   = time.Second // after a reading that failed
	errorBreath = time.Second
)

// watcher follows the notifications. It belongs to one goroutine.
type watcher struct {
	state  state
	events ctnetlink.Socket
	dumps  requests
	clock  conntrack.Clock
	stats  *Stats

	outdated bool  // the policy is to be read
	lost     bool  // and all else
	readAt   int64 // not before, monotonic
}

// next waits for changes and takes them in. It returns when routes may have changed.
// An error is of the socket, which is of no more use.
func (w *watcher) next() error {
	for {
		moved, err := w.collect(w.wait())
		if err != nil {
			return err
		}
		moved = w.mend() || moved
		if moved {
			return nil
		}
	}
}

// wait returns how long to wait for notifications.
func (w *watcher) wait() time.Duration {
	if !w.outdated && !w.lost {
		return forever
	}
	return max(time.Duration(w.readAt-w.clock().Mono), time.Millisecond)
}

// collect takes in what has come, and tells whether routes may have changed.
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
			w.lost, moved = true, true
		default:
			return moved, err
		}
		wait = 0
	}
	return moved, nil
}

// take takes in one datagram.
func (w *watcher) take(b []byte) (moved bool) {
	for len(b) > 0 {
		m, rest, err := nextMessage(b)
		if err != nil {
			w.stats.Malformed.Add(1)
			return moved
		}
		e := w.apply(&w.state, &m)
		moved = moved || e != 0
		w.outdated = w.outdated || e&outdated != 0
		b = rest
	}
	return moved
}

func (w *watcher) apply(s *state, m *message) effect {
	e, err := s.apply(m)
	if err != nil {
		w.stats.Malformed.Add(1)
	}
	return e
}

// mend reads what can't be known from notifications, where that is due, and tells
// whether it has.
func (w *watcher) mend() bool {
	began := w.clock().Mono
	if !w.outdated && !w.lost || began < w.readAt {
		return false
	}
	if err := w.read(); err != nil {
		w.stats.Failures.Add(1)
		w.readAt = began + int64(readRetry)
		return false
	}
	w.readAt = began + readShare*(w.clock().Mono-began)
	return true
}

// read reads the policy, and all else where notifications were lost.
func (w *watcher) read() error {
	fresh := newState()
	kinds := []uint16{unix.RTM_GETRULE, unix.RTM_GETROUTE}
	if w.lost {
		kinds = append(kinds, unix.RTM_GETLINK, unix.RTM_GETADDR)
	}
	for _, kind := range kinds {
		if err := w.dumps.dump(kind, func(m *message) { w.apply(&fresh, m) }); err != nil {
			return err
		}
	}
	if !w.lost {
		fresh.devices, fresh.addresses = w.state.devices, w.state.addresses
	}
	w.state, w.lost, w.outdated = fresh, false, false
	return nil
}

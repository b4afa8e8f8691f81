package route

import (
	"sync"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// scope says which connections a change of routes concerns: those with an address in a
// network, or those that use an interface; the zero scope is all.
type scope struct {
	to     prefix
	device uint32
}

// concerns reports whether a connection that takes these paths may be affected.
func (s *scope) concerns(e *conntrack.Event, paths ...flow.Path) bool {
	if s.device != 0 {
		for _, p := range paths {
			if p[0].Index() == s.device || p[1].Index() == s.device {
				return true
			}
		}
		return false
	}
	if s.to == (prefix{}) {
		return true
	}
	network := s.to.network()
	for _, a := range [...]*conntrack.Addr{&e.Orig.Src, &e.Orig.Dst, &e.Reply.Src, &e.Reply.Dst} {
		if network.has(numberOf(a)) {
			return true
		}
	}
	return false
}

// change is a change of routes, and the version of the view that has it.
type change struct {
	scope
	version uint32
	at      int64 // monotonic
}

// mostChanges bounds the log, at 40 B each.
const mostChanges = 1 << 12

// changeLog remembers the last changes, so that the time is known at which a flow's path
// became another, however many other changes there were.
type changeLog struct {
	mu    sync.Mutex
	all   []change // a ring once it is full
	next  int
	floor change // the last one that was forgotten
}

func (l *changeLog) add(c change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) < mostChanges {
		l.all = append(l.all, c)
		return
	}
	l.floor = l.all[l.next]
	l.all[l.next] = c
	l.next = (l.next + 1) % mostChanges
}

// between returns the times of the first and the last change after a version that concern a
// connection. Forgotten changes count as such.
func (l *changeLog) between(
	version uint32, e *conntrack.Event, paths ...flow.Path,
) (first, last int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if after(l.floor.version, version) {
		last = l.floor.at
	}
	found := after(l.floor.version, version)
	for i := range l.all {
		c := &l.all[(l.next+i)%len(l.all)]
		if !after(c.version, version) || !c.concerns(e, paths...) {
			continue
		}
		if !found {
			first, found = c.at, true
		}
		last = c.at
	}
	return first, last
}

// after reports whether a version is later than another, of numbers that wrap.
func after(version, other uint32) bool { return int32(version-other) > 0 }

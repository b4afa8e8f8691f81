package link

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/flow"
)

// Options of Links.
type Options struct {
	// Mark has a connection's mark count in the look-up of its route: for routers
	// whose rules choose by a mark that is kept in the connection.
	Mark  bool
	Clock conntrack.Clock
	// Renamed, where set, is called by another goroutine when Interfaces has
	// something else to tell.
	Renamed func()
}

// Links knows the interfaces. It implements flow.Links. Path belongs to one
// goroutine, all else to any.
type Links struct {
	Stats Stats

	view    atomic.Pointer[view]
	closing chan struct{}
	done    chan struct{} // closed when the watcher has ended

	options Options
	marks   uint32 // the bits of a mark that count
	watcher watcher

	seen  *view // that cache is from
	fib   *fib
	cache cache
	hits  uint64 // of the present path
}

// Open reads what there is in the network namespace of the calling thread, and
// follows it until Close.
func Open(o Options) (*Links, error) {
	var sockets []ctnetlink.Socket
	for _, g := range []uint32{groups(), 0, 0} {
		s, err := openSocket(g)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("rtnetlink: %w", err), closeAll(sockets))
		}
		sockets = append(sockets, s)
	}
	l, err := newLinks(o, sockets[0], sockets[1], sockets[2])
	if err != nil {
		return nil, errors.Join(err, closeAll(sockets))
	}
	return l, nil
}

// newLinks has events joined the groups: what changes while all is read comes behind.
func newLinks(o Options, events, dumps, routes ctnetlink.Socket) (*Links, error) {
	l := &Links{
		options: o, fib: newFIB(routes), cache: newCache(),
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	if o.Mark {
		l.marks = ^uint32(0)
	}
	l.watcher = watcher{events: events, dumps: requests{socket: dumps}, clock: o.Clock, stats: &l.Stats, lost: true}
	if err := l.watcher.read(); err != nil {
		return nil, err
	}
	l.publish()
	go l.watch()
	return l, nil
}

// Close ends the watching.
func (l *Links) Close() error {
	close(l.closing)
	err := l.watcher.events.Close()
	<-l.done
	return errors.Join(err, l.watcher.dumps.socket.Close(), l.fib.socket.Close())
}

func closeAll(sockets []ctnetlink.Socket) error {
	var errs []error
	for _, s := range sockets {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// watch follows what changes.
func (l *Links) watch() {
	defer close(l.done)
	for {
		rest := breath
		if err := l.watcher.next(); err != nil {
			l.Stats.Failures.Add(1)
			l.watcher.lost, rest = true, errorBreath
		} else {
			l.publish()
		}
		select {
		case <-l.closing:
			return
		case <-time.After(rest):
		}
	}
}

// publish makes what is known now the view.
func (l *Links) publish() {
	fresh, renamed := l.watcher.state.view(), true
	fresh.since = l.options.Clock().Mono
	if old := l.view.Load(); old != nil {
		fresh.version, fresh.names = old.version+1, old.names
		renamed = !slices.Equal(old.interfaces, fresh.interfaces)
		l.Stats.Changes.Add(1)
	}
	if renamed {
		fresh.names++
	}
	l.view.Store(fresh)
	if renamed && fresh.version > 0 && l.options.Renamed != nil {
		l.options.Renamed()
	}
}

// look takes the present view for the path that is asked for next.
func (l *Links) look() {
	if v := l.view.Load(); v != l.seen {
		l.seen = v
		l.cache.clear()
	}
}

// Version implements flow.Links.
func (l *Links) Version() (number uint32, since int64) {
	v := l.view.Load()
	return v.version, v.since
}

// Interfaces returns all interfaces by index, which the caller must not change,
// and a number that changes with them.
func (l *Links) Interfaces() (all []flow.Interface, version uint32) {
	v := l.view.Load()
	return v.interfaces, v.names
}

// Index returns the present ifIndex of an interface, by which a record's Input and
// Output are told.
func (l *Links) Index(name string) (index uint32, ok bool) { return l.view.Load().index(name) }

// Uplink tells whether a default route leaves by an interface.
func (l *Links) Uplink(index uint32) bool { return l.view.Load().uplinks[index] }

// Name returns the name of an interface, "" where there is none of this index.
func (l *Links) Name(index uint32) string { return l.view.Load().of(index).Name }

// VLAN returns the VLAN id of an interface, 0 where it is none.
func (l *Links) VLAN(index uint32) uint16 { return l.view.Load().of(index).VLAN }

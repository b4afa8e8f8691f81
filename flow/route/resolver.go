package route

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

// Options of a Resolver.
type Options struct {
	// Mark has a connection's mark count in the look-up of its route: for routers
	// whose rules choose by a mark that is kept in the connection.
	Mark  bool
	Clock conntrack.Clock
	// Renamed, where set, is called by another goroutine when Interfaces has
	// something else to tell.
	Renamed func()
}

// Resolver implements flow.RouteResolver: it knows the interfaces and asks the kernel for routes. Path belongs to one
// goroutine, all else to any.
type Resolver struct {
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
func Open(o Options) (*Resolver, error) {
	var sockets []ctnetlink.Socket
	for _, g := range []uint32{groups(), 0, 0} {
		s, err := openSocket(g)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("rtnetlink: %w", err), closeAll(sockets))
		}
		sockets = append(sockets, s)
	}
	l, err := newResolver(o, sockets[0], sockets[1], sockets[2])
	if err != nil {
		return nil, errors.Join(err, closeAll(sockets))
	}
	return l, nil
}

// newResolver has events joined the groups: what changes while all is read comes behind.
func newResolver(o Options, events, dumps, routes ctnetlink.Socket) (*Resolver, error) {
	r := &Resolver{
		options: o, fib: newFIB(routes), cache: newCache(),
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	if o.Mark {
		r.marks = ^uint32(0)
	}
	r.watcher = watcher{events: events, dumps: requests{socket: dumps}, clock: o.Clock, stats: &r.Stats, lost: true}
	if err := r.watcher.read(); err != nil {
		return nil, err
	}
	r.publish()
	go r.watch()
	return r, nil
}

// Close ends the watching.
func (r *Resolver) Close() error {
	close(r.closing)
	err := r.watcher.events.Close()
	<-r.done
	return errors.Join(err, r.watcher.dumps.socket.Close(), r.fib.socket.Close())
}

func closeAll(sockets []ctnetlink.Socket) error {
	var errs []error
	for _, s := range sockets {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// watch follows what changes.
func (r *Resolver) watch() {
	defer close(r.done)
	for {
		rest := breath
		if err := r.watcher.next(); err != nil {
			r.Stats.Failures.Add(1)
			r.watcher.lost, rest = true, errorBreath
		} else {
			r.publish()
		}
		select {
		case <-r.closing:
			return
		case <-time.After(rest):
		}
	}
}

// publish makes what is known now the view.
func (r *Resolver) publish() {
	fresh, renamed := r.watcher.state.view(), true
	fresh.since = r.options.Clock().Mono
	if old := r.view.Load(); old != nil {
		fresh.version, fresh.names = old.version+1, old.names
		renamed = !slices.Equal(old.interfaces, fresh.interfaces)
		r.Stats.Changes.Add(1)
	}
	if renamed {
		fresh.names++
	}
	r.view.Store(fresh)
	if renamed && fresh.version > 0 && r.options.Renamed != nil {
		r.options.Renamed()
	}
}

// look takes the present view for the path that is asked for next.
func (r *Resolver) look() {
	if v := r.view.Load(); v != r.seen {
		r.seen = v
		r.cache.clear()
	}
}

// Version implements flow.RouteResolver.
func (r *Resolver) Version() (number uint32, since int64) {
	v := r.view.Load()
	return v.version, v.since
}

// Interfaces returns all interfaces by index, which the caller must not change,
// and a number that changes with them.
func (r *Resolver) Interfaces() (all []flow.Interface, version uint32) {
	v := r.view.Load()
	return v.interfaces, v.names
}

// Index returns the present ifIndex of an interface, by which a record's Input and
// Output are told.
func (r *Resolver) Index(name string) (index uint32, ok bool) { return r.view.Load().index(name) }

// Uplink tells whether a default route leaves by an interface.
func (r *Resolver) Uplink(index uint32) bool { return r.view.Load().uplinks[index] }

// Name returns the name of an interface, "" where there is none of this index.
func (r *Resolver) Name(index uint32) string { return r.view.Load().of(index).Name }

// VLAN returns the VLAN id of an interface, 0 where it is none.
func (r *Resolver) VLAN(index uint32) uint16 { return r.view.Load().of(index).VLAN }

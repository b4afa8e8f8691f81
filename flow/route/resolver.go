package route

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	ctkernel "github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/flow"
)

// Options of a Resolver.
type Options struct {
	// Mark includes a connection's mark in the look-up of its route, for routers whose rules
	// choose by a mark that is saved in the connection.
	Mark  bool
	Clock conntrack.Clock
	// Renamed, if not nil, is called by another goroutine when the result of
	// Interfaces has changed.
	Renamed func()
}

// Resolver implements flow.RouteResolver: it knows the interfaces and asks the kernel
// for routes. Path and Shrink belong to one goroutine, all else to any.
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
	known [maxKnownPaths]knownPath
	hits  uint32          // of the present path
	asked bool            // the kernel, for the present path
	ports conntrack.Tuple // of the present question
	zones zones
}

// dial opens a socket to rtnetlink that has joined multicast groups.
type dial func(groups uint32) (ctnetlink.Socket, error)

// Open reads what there is in the network namespace of the calling thread, and
// follows it until Close.
func Open(o Options) (*Resolver, error) {
	r, err := open(o, func(groups uint32) (ctnetlink.Socket, error) { return openSocket(groups) })
	if err != nil {
		return nil, err
	}
	r.zones.read = ctkernel.InterfacesByZone
	return r, nil
}

func open(o Options, dial dial) (*Resolver, error) {
	var sockets []ctnetlink.Socket
	// the groups first: changes during the reading are then notified
	for _, g := range []uint32{groups(), 0, 0} {
		s, err := dial(g)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("rtnetlink: %w", err), closeAll(sockets))
		}
		sockets = append(sockets, s)
	}
	r := &Resolver{
		options: o, fib: newFIB(sockets[2], dial), cache: newCache(),
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	if o.Mark {
		r.marks = ^uint32(0)
	}
	r.watcher = watcher{events: sockets[0], dumps: requests{socket: sockets[1]}, dial: dial,
		clock: o.Clock, stats: &r.Stats, lost: true}
	if err := r.watcher.read(); err != nil {
		return nil, errors.Join(err, closeAll(sockets))
	}
	r.publish()
	go r.watch()
	return r, nil
}

// Close stops following and closes the sockets.
func (r *Resolver) Close() error {
	close(r.closing)
	err := r.watcher.close()
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
		pause := breath
		r.watcher.version = r.view.Load().version + 1
		if err := r.watcher.next(); err != nil {
			r.Stats.Failures.Add(1)
			r.watcher.broken, pause = true, errorBreath
		} else {
			r.publish()
		}
		select {
		case <-r.closing:
			return
		case <-time.After(pause):
		}
	}
}

// publish makes a view of what is known now.
func (r *Resolver) publish() {
	before := r.view.Load()
	v := r.watcher.state.view(before)
	r.view.Store(v)
	if before == nil {
		return
	}
	r.Stats.Changes.Add(1)
	if v.names != before.names && r.options.Renamed != nil {
		r.options.Renamed()
	}
}

// look loads the present view for the next path.
func (r *Resolver) look() {
	if v := r.view.Load(); v != r.seen {
		r.seen = v
		r.cache.clear()
	}
}

// Shrink implements flow.RouteResolver.
func (r *Resolver) Shrink() { r.cache.shrink() }

// Version implements flow.RouteResolver.
func (r *Resolver) Version() uint32 { return r.view.Load().version }

// Changed implements flow.RouteResolver.
func (r *Resolver) Changed(
	version uint32, e *conntrack.Event, before, now flow.Path,
) (first, last int64) {
	return r.watcher.changes.between(version, e, before, now)
}

// Interfaces returns all interfaces by index, which the caller must not change,
// and a number that changes with them.
func (r *Resolver) Interfaces() (all []flow.Interface, version uint32) {
	v := r.view.Load()
	return v.interfaces, v.names
}

// Local reports whether an address is one of the router's own.
func (r *Resolver) Local(a *conntrack.Addr) bool {
	_, ours := r.view.Load().owners[*a]
	return ours
}

// Broadcast reports whether an address is the broadcast address of one of the router's networks.
func (r *Resolver) Broadcast(a *conntrack.Addr) bool { return r.view.Load().broadcasts[*a] }

// Index returns the present ifIndex of an interface, which a record's Input and
// Output have.
func (r *Resolver) Index(name string) (index uint32, ok bool) { return r.view.Load().index(name) }

// Uplink reports whether a default route leaves by an interface.
func (r *Resolver) Uplink(index uint32) bool { return r.view.Load().uplinks[index] }

// Hop implements flow.RouteResolver.
func (r *Resolver) Hop(index uint32) flow.Hop { return r.view.Load().hop(index) }

// Name returns the name of an interface, "" where there is none of this index.
func (r *Resolver) Name(index uint32) string { return r.view.Load().of(index).Name }

// VLAN returns the VLAN id of an interface, 0 where it is none.
func (r *Resolver) VLAN(index uint32) uint16 { return r.view.Load().of(index).VLAN }

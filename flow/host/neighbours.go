package host

import (
	"context"
	"maps"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/jsimonetti/rtnetlink/v2"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

const (
	// readInterval is well below the time for which the kernel keeps a neighbour
	// that is silent (gc_stale_time, 60 s), and below that from a first packet to a
	// first record (an idle timeout, or that of the connection).
	readInterval = 10 * time.Second
	// remembered is for how long a neighbour counts that is gone: connections end
	// after their hosts have left.
	remembered = time.Hour
	// most bounds what is remembered.
	most = 1 << 16
)

// MAC is an Ethernet address; the zero MAC is none.
type MAC [6]byte

// NeighbourStats counts what Neighbours does. Any goroutine may read it.
type NeighbourStats struct {
	Known    atomic.Int64
	Failures atomic.Uint64 // readings that failed and are tried again
}

// Neighbours knows the Ethernet addresses of the hosts on the router's own networks:
// the kernel's tables of ARP and IPv6 neighbour discovery, and those that left lately.
type Neighbours struct {
	Stats NeighbourStats

	clock    conntrack.Clock
	list     func() ([]rtnetlink.NeighMessage, error)
	seen     map[conntrack.Addr]sighting
	last     int64 // when the tables were read before, monotonic
	madeRoom bool  // this reading has
	known    atomic.Pointer[map[conntrack.Addr]MAC]
}

// sighting is a neighbour and when it was last there, monotonic.
type sighting struct {
	mac MAC
	at  int64
}

// OpenNeighbours reads the tables of the calling thread's network namespace.
func OpenNeighbours(clock conntrack.Clock) (*Neighbours, error) {
	conn, err := rtnetlink.Dial(nil)
	if err != nil {
		return nil, err
	}
	n := newNeighbours(clock, conn.Neigh.List)
	if err := n.read(); err != nil {
		conn.Close()
		return nil, err
	}
	return n, nil
}

func newNeighbours(clock conntrack.Clock, list func() ([]rtnetlink.NeighMessage, error)) *Neighbours {
	n := &Neighbours{clock: clock, list: list, seen: map[conntrack.Addr]sighting{}}
	n.known.Store(&map[conntrack.Addr]MAC{})
	return n
}

// Follow reads the tables again and again until ctx is done.
func (n *Neighbours) Follow(ctx context.Context) {
	ticker := time.NewTicker(readInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if n.read() != nil {
			n.Stats.Failures.Add(1)
		}
	}
}

// MAC returns the Ethernet address of a neighbour. Any goroutine may call it.
func (n *Neighbours) MAC(a *conntrack.Addr) MAC { return (*n.known.Load())[*a] }

// read takes in the tables as they are now.
func (n *Neighbours) read() error {
	all, err := n.list()
	if err != nil {
		return err
	}
	now := n.clock().Mono
	n.madeRoom = false
	for i := range all {
		if a, mac, ok := neighbour(&all[i]); ok {
			n.see(a, sighting{mac, now})
		}
	}
	n.publish(now)
	n.last = now
	return nil
}

// see remembers a sighting, if there is room.
func (n *Neighbours) see(a conntrack.Addr, s sighting) {
	_, known := n.seen[a]
	if !known && len(n.seen) >= most && !n.madeRoom {
		n.makeRoom()
	}
	if known || len(n.seen) < most {
		n.seen[a] = s
	}
}

// makeRoom forgets those that are gone, were it a moment ago: whoever makes up
// neighbours must not keep out those that are there. Once per reading is enough.
func (n *Neighbours) makeRoom() {
	n.madeRoom = true
	maps.DeleteFunc(n.seen, func(_ conntrack.Addr, s sighting) bool { return s.at < n.last })
}

// publish forgets those that are gone for good, and shows the others.
func (n *Neighbours) publish(now int64) {
	known := make(map[conntrack.Addr]MAC, len(n.seen))
	for a, s := range n.seen {
		if now-s.at > int64(remembered) {
			delete(n.seen, a)
			continue
		}
		known[a] = s.mac
	}
	n.known.Store(&known)
	n.Stats.Known.Store(int64(len(known)))
}

// neighbour reads an entry whose Ethernet address is known.
func neighbour(m *rtnetlink.NeighMessage) (a conntrack.Addr, mac MAC, ok bool) {
	const unresolved = unix.NUD_INCOMPLETE | unix.NUD_FAILED | unix.NUD_NOARP
	if m.Attributes == nil || m.State&unresolved != 0 || len(m.Attributes.LLAddress) != len(mac) {
		return a, mac, false
	}
	ip, ok := netip.AddrFromSlice(m.Attributes.Address)
	copy(mac[:], m.Attributes.LLAddress)
	return conntrack.AddrFrom(ip), mac, ok && mac != MAC{}
}

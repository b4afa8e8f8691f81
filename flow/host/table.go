package host

import (
	"time"

	"github.com/conntally/conntally/conntrack"
)

const (
	// remembered is for how long a neighbour is known after it is gone: connections end
	// after their hosts have left.
	remembered = time.Hour
	// most bounds the neighbours, at some 100 B each. The kernel itself keeps 1024 of each
	// family by default (gc_thresh3).
	most = 1 << 15
	// roomPause is the least time between two searches for what can be forgotten.
	roomPause = time.Second
)

// neighbour is what an interface reaches by an Ethernet address.
type neighbour struct {
	addr  conntrack.Addr
	index uint32 // ifIndex
	mac   MAC
	then  MAC    // before it was mac; zero: none is known
	used  bool   // it was looked up since makeRoom
	seen  uint32 // the number of the last reading of all that showed it
	since int64  // when mac became known, monotonic
	gone  int64  // since when it is gone, monotonic; 0: it is not
	next  int32  // another one of that address, behind another interface; none
}

const none = int32(-1)

// table holds neighbours by address. Times are monotonic.
type table struct {
	all     []neighbour
	first   map[conntrack.Addr]int32
	reading uint32
	version uint32 // changes with what mac returns
	tried   int64  // when room was last made
}

func newTable() table { return table{first: map[conntrack.Addr]int32{}} }

// find returns the neighbour of that address behind an interface, or nil.
func (t *table) find(a *conntrack.Addr, index uint32) *neighbour {
	i, known := t.first[*a]
	for known && i != none {
		n := &t.all[i]
		if n.index == index {
			return n
		}
		i = n.next
	}
	return nil
}

// mac returns the Ethernet address by which an interface reached a at a time. If a is known only
// behind one other interface, it returns that one's.
func (t *table) mac(a *conntrack.Addr, index uint32, at int64) MAC {
	n := t.find(a, index)
	if n == nil {
		i, known := t.first[*a]
		if !known || t.all[i].next != none {
			return MAC{}
		}
		n = &t.all[i]
	}
	n.used = true
	if at < n.since && n.then != (MAC{}) {
		return n.then
	}
	return n.mac
}

// index returns the ifIndex of the interface that reaches a, if only one does.
func (t *table) index(a *conntrack.Addr) (index uint32, known bool) {
	i, known := t.first[*a]
	if !known || t.all[i].next != none {
		return 0, false
	}
	t.all[i].used = true
	return t.all[i].index, true
}

// set remembers a neighbour.
func (t *table) set(a conntrack.Addr, index uint32, mac MAC, now int64) {
	n := t.find(&a, index)
	if n == nil {
		if n = t.add(a, index, now); n == nil {
			return
		}
	}
	if n.mac != mac {
		t.version++
		n.mac, n.then, n.since = mac, n.mac, now
	}
	n.gone, n.seen = 0, t.reading
}

// add makes room for another neighbour, or returns nil.
func (t *table) add(a conntrack.Addr, index uint32, now int64) *neighbour {
	if len(t.all) >= most {
		t.makeRoom(now)
	}
	if len(t.all) >= most {
		return nil
	}
	t.all = append(t.all, neighbour{addr: a, index: index})
	t.link(int32(len(t.all) - 1))
	return &t.all[len(t.all)-1]
}

// link makes the neighbour at place i the first of its address.
func (t *table) link(i int32) {
	n := &t.all[i]
	n.next = none
	if before, known := t.first[n.addr]; known {
		n.next = before
	}
	t.first[n.addr] = i
}

// leave marks a neighbour as gone.
func (t *table) leave(a *conntrack.Addr, index uint32, now int64) {
	if n := t.find(a, index); n != nil && n.gone == 0 {
		n.gone = now
	}
}

// endReading ends a reading of all neighbours: what it didn't show is gone. What has been
// gone for long is forgotten.
func (t *table) endReading(now int64) {
	for i := range t.all {
		if n := &t.all[i]; n.gone == 0 && n.seen != t.reading {
			n.gone = now
		}
	}
	t.keep(func(n *neighbour) bool { return n.gone == 0 || now-n.gone <= int64(remembered) })
	t.reading++
}

// makeRoom forgets the least useful neighbours, so that invented ones displace no real
// ones: first those that are gone and were not looked up, then all that are gone, then
// those that were not looked up.
func (t *table) makeRoom(now int64) {
	if t.tried != 0 && now-t.tried < int64(roomPause) {
		return
	}
	t.tried = now
	for _, missed := range []func(n *neighbour) bool{
		func(n *neighbour) bool { return n.gone == 0 || n.used },
		func(n *neighbour) bool { return n.gone == 0 },
		func(n *neighbour) bool { return n.used },
	} {
		if t.keep(missed); len(t.all) <= most*3/4 {
			break
		}
	}
	for i := range t.all {
		t.all[i].used = false
	}
}

// keep forgets all neighbours for which keep is false, and gives back their memory.
func (t *table) keep(keep func(n *neighbour) bool) {
	kept := 0
	for i := range t.all {
		if keep(&t.all[i]) {
			kept++
		}
	}
	if kept == len(t.all) {
		return
	}
	t.version++
	old := t.all
	t.all, t.first = make([]neighbour, 0, kept), make(map[conntrack.Addr]int32, kept)
	for i := range old {
		if keep(&old[i]) {
			t.all = append(t.all, old[i])
			t.link(int32(len(t.all) - 1))
		}
	}
}

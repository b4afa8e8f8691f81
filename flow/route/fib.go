package route

import (
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/flow"
)

// query is a question for the route of a packet.
type query struct {
	to   *conntrack.Addr
	from *conntrack.Addr // nil is anybody
	in   uint32          // interface that it comes in by, 0 for what the router sends
	mark uint32
}

// answer is where packets to an address leave.
type answer struct {
	kind kind
	hop  flow.Hop // of unicast; of group where the router itself sends
}

type kind uint8

const (
	untold  kind = iota
	nowhere      // no route, or none that forwards
	unicast
	local // the router itself
	group // multicast and broadcast
)

// nobody is a user id that no rule is for.
const nobody = ^uint32(0)

// fib asks for routes by RTM_GETROUTE, which applies the router's policy as to a
// packet. It allocates nothing.
type fib struct {
	requests
	kind kind // of the present answer
	out  uint32
	read func(m *message) // bound once
}

func newFIB(s ctnetlink.Socket) *fib {
	f := &fib{requests: requests{socket: s}}
	f.read = f.readRoute
	return f
}

// lookUp returns the kind of a route and its interface. It fails where there is no
// route, and where the reverse path filter would drop the packet.
func (f *fib) lookUp(q *query) (kind, uint32, error) {
	f.begin(unix.RTM_GETROUTE, 0)
	family, bits := uint8(unix.AF_INET6), uint8(128)
	if isMapped(q.to) {
		family, bits = unix.AF_INET, 32
	}
	fromBits := bits
	if q.from == nil {
		fromBits = 0
	}
	f.request = append(f.request, family, bits, fromBits, 0, 0, 0, 0, 0, 0, 0, 0, 0) // struct rtmsg
	f.request = appendBytes(f.request, unix.RTA_DST, q.to[16-bits/8:])
	if q.from != nil {
		f.request = appendBytes(f.request, unix.RTA_SRC, q.from[16-bits/8:])
	}
	if q.in != 0 {
		f.request = appendU32(f.request, unix.RTA_IIF, q.in)
	} else {
		f.request = appendU32(f.request, unix.RTA_UID, nobody) // else we would be asking for ourselves
	}
	if q.mark != 0 {
		f.request = appendU32(f.request, unix.RTA_MARK, q.mark)
	}
	f.kind, f.out = nowhere, 0
	err := f.ask(f.read)
	return f.kind, f.out, err
}

// readRoute reads struct rtmsg and what follows.
func (f *fib) readRoute(m *message) {
	a := m.attributes(unix.SizeofRtMsg)
	if m.typ != unix.RTM_NEWROUTE || a.err != nil {
		return
	}
	switch m.body[7] {
	case unix.RTN_UNICAST:
		f.kind = unicast
	case unix.RTN_LOCAL, unix.RTN_ANYCAST:
		f.kind = local
	case unix.RTN_BROADCAST, unix.RTN_MULTICAST:
		f.kind = group
	}
	for a.next() {
		if a.typ == unix.RTA_OIF {
			f.out = a.u32()
		}
	}
	if a.err != nil || f.kind == unicast && f.out == 0 {
		f.kind = nowhere
	}
}

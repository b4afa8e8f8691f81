package route

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/flow"
)

// query is a question for the route of a packet.
type query struct {
	to     *conntrack.Addr
	from   *conntrack.Addr // nil is anybody
	in     uint32          // interface that it comes in by, 0 for what the router sends
	mark   uint32
	ports  *conntrack.Tuple // its protocol and ports; nil is any
	prefix bool             // the route itself is asked for, rather than where it leads
}

// answer is where packets to an address leave.
type answer struct {
	kind kind
	hop  flow.Hop // of unicast; of group where the router itself sends
}

type kind uint8

const (
	unknown kind = iota
	nowhere      // no route, or none that forwards
	unicast
	local        // the router itself
	group        // multicast and broadcast
	defaultRoute // unicast, by a default route: the answer to a query for the prefix
)

// nobody is a user ID that no rule matches.
const nobody = ^uint32(0)

// fib asks for routes by RTM_GETROUTE, which applies the router's policy as to a
// packet. It allocates nothing.
type fib struct {
	requests
	dial   dial
	kind   kind // of the present answer
	out    uint32
	bits   uint8            // of the destination's prefix
	prefix bool             // is asked for
	read   func(m *message) // bound once
}

func newFIB(s ctnetlink.Socket, dial dial) *fib {
	f := &fib{requests: requests{socket: s}, dial: dial}
	f.read = f.readRoute
	return f
}

// errSocket means that the kernel couldn't be asked.
var errSocket = errors.New("rtnetlink socket is broken")

// lookUp returns the kind of a route and its interface. It fails where there is no
// route, where the reverse path filter would drop the packet, and with errSocket.
// A broken socket is opened again.
func (f *fib) lookUp(q *query) (kind, uint32, error) {
	err := f.try(q)
	if f.broken {
		if s, openErr := f.dial(0); openErr == nil {
			f.socket.Close()
			f.socket, f.broken = s, false
			err = f.try(q)
		}
	}
	if f.broken {
		return nowhere, 0, errors.Join(errSocket, err)
	}
	return f.kind, f.out, err
}

// try asks once.
func (f *fib) try(q *query) error {
	f.begin(unix.RTM_GETROUTE, 0)
	family, bits := uint8(unix.AF_INET6), uint8(128)
	if isMapped(q.to) {
		family, bits = unix.AF_INET, 32
	}
	fromBits := bits
	if q.from == nil {
		fromBits = 0
	}
	flags := uint32(0)
	if q.prefix {
		flags = unix.RTM_F_FIB_MATCH
	}
	f.request = append(f.request, family, bits, fromBits, 0, 0, 0, 0, 0) // struct rtmsg
	f.request = binary.NativeEndian.AppendUint32(f.request, flags)
	f.request = appendBytes(f.request, unix.RTA_DST, q.to[16-bits/8:])
	if q.from != nil {
		f.request = appendBytes(f.request, unix.RTA_SRC, q.from[16-bits/8:])
	}
	if q.in != 0 {
		f.request = appendU32(f.request, unix.RTA_IIF, q.in)
	} else {
		// else the kernel would apply rules for our own user
		f.request = appendU32(f.request, unix.RTA_UID, nobody)
	}
	if q.mark != 0 {
		f.request = appendU32(f.request, unix.RTA_MARK, q.mark)
	}
	if q.ports != nil {
		f.appendPorts(q.ports)
	}
	f.kind, f.out, f.bits, f.prefix = nowhere, 0, 128, q.prefix
	err := f.ask(f.read)
	if q.prefix && f.kind == unicast && f.bits <= widest {
		f.kind = defaultRoute
	}
	return err
}

// appendPorts adds the protocol and ports, for the protocols that the kernel accepts here
// (rtm_getroute_parse_ip_proto).
func (f *fib) appendPorts(t *conntrack.Tuple) {
	switch t.Proto {
	case conntrack.ProtoICMP, conntrack.ProtoICMPv6:
		f.request = appendBytes(f.request, unix.RTA_IP_PROTO, []byte{t.Proto})
	case conntrack.ProtoTCP, conntrack.ProtoUDP:
		f.request = appendBytes(f.request, unix.RTA_IP_PROTO, []byte{t.Proto})
		f.request = appendBytes(f.request, unix.RTA_SPORT,
			[]byte{byte(t.SrcPort >> 8), byte(t.SrcPort)})
		f.request = appendBytes(f.request, unix.RTA_DPORT,
			[]byte{byte(t.DstPort >> 8), byte(t.DstPort)})
	}
}

// readRoute reads struct rtmsg and what follows.
func (f *fib) readRoute(m *message) {
	a := m.attributes(unix.SizeofRtMsg)
	if m.typ != unix.RTM_NEWROUTE || a.err != nil {
		return
	}
	f.bits = m.body[1]
	switch m.body[7] {
	case unix.RTN_UNICAST:
		f.kind = unicast
	case unix.RTN_LOCAL, unix.RTN_ANYCAST:
		f.kind = local
	case unix.RTN_BROADCAST, unix.RTN_MULTICAST:
		f.kind = group
	}
	several := false
	for a.next() {
		switch a.typ {
		case unix.RTA_OIF:
			f.out = a.u32()
		case unix.RTA_MULTIPATH:
			several = f.prefix
		}
	}
	if a.err != nil || f.kind == unicast && f.out == 0 && !several {
		f.kind = nowhere
	}
}

package kernel

import (
	"encoding/binary"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// markerTimeout is how long a marker stays that is not deleted, in seconds.
	markerTimeout = 120
	// markerStatus keeps the kernel from evicting it: seen reply, assured, confirmed.
	markerStatus = 1<<1 | 1<<2 | 1<<3
)

// Marker is an entry of conntrack that belongs to no connection: UDP from port 0 of an address of
// loopback to itself. It is inserted as conntrack(8) inserts entries.
type Marker struct {
	conn *netlink.Conn
	addr netip.Addr
}

// OpenMarker returns a Marker for the calling thread's network namespace. It isn't inserted yet.
func OpenMarker() (*Marker, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	// No other socket of the namespace has the same.
	id := conn.PID()
	return &Marker{conn, netip.AddrFrom4([4]byte{127, byte(id >> 16), byte(id >> 8), byte(id)})},
		nil
}

// Addr returns the address at both ends of the entry.
func (m *Marker) Addr() netip.Addr { return m.addr }

// Insert inserts the entry. It lives until Delete, or for two minutes.
func (m *Marker) Insert() error {
	return m.request(msgNewEntry, netlink.Create|netlink.Excl,
		func(a *netlink.AttributeEncoder) {
			m.tuple(a, aTupleReply)
			a.ByteOrder = binary.BigEndian
			a.Uint32(aStatus, markerStatus)
			a.Uint32(aTimeout, markerTimeout)
		})
}

// Delete deletes the entry.
func (m *Marker) Delete() error {
	return m.request(msgDelEntry, 0, func(*netlink.AttributeEncoder) {})
}

// Close leaves an entry that is in the table to expire.
func (m *Marker) Close() error { return m.conn.Close() }

func (m *Marker) request(
	typ uint16, flags netlink.HeaderFlags, more func(*netlink.AttributeEncoder),
) error {
	return exchange(m.conn, nfMessage(typ, flags|netlink.Acknowledge, unix.AF_INET,
		func(a *netlink.AttributeEncoder) {
			m.tuple(a, aTupleOrig)
			more(a)
		}))
}

func (m *Marker) tuple(a *netlink.AttributeEncoder, typ uint16) {
	a.Nested(typ, func(tuple *netlink.AttributeEncoder) error {
		encodeUDP(tuple, netip.AddrPortFrom(m.addr, 0))
		return nil
	})
}

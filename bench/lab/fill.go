package lab

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// fillMost bounds what Fill can number: three bytes of an address.
const fillMost = 1 << 24

const (
	fillBatch   = 256       // messages per send
	fillTimeout = 24 * 3600 // seconds
	fillPort    = 40000     // of the opener
)

// Message types of the conntrack subsystem (enum cntl_msg_types).
const (
	ctNew    = unix.NFNL_SUBSYS_CTNETLINK << 8
	ctDelete = unix.NFNL_SUBSYS_CTNETLINK<<8 | 2
)

// Attribute types of linux/netfilter/nfnetlink_conntrack.h.
const (
	ctaTupleOrig  = 1
	ctaTupleReply = 2
	ctaStatus     = 3
	ctaProtoinfo  = 4
	ctaTimeout    = 7

	ctaTupleIP    = 1
	ctaTupleProto = 2
	ctaIPv4Src    = 1
	ctaIPv6Src    = 3
	ctaProtoNum   = 1
	ctaSrcPort    = 2
	ctaDstPort    = 3

	ctaProtoinfoTCP = 1
	ctaTCPState     = 1

	tcpEstablished = 3    // enum tcp_conntrack
	answeredStatus = 0x0e // IPS_SEEN_REPLY, IPS_ASSURED, IPS_CONFIRMED
)

// filling is one entry to be: what one direction says and what comes back.
type filling struct {
	proto       uint8
	orig, reply [2]netip.AddrPort // source, destination
}

// Fill adds the conntrack entries numbered from first on, count of them, as if
// they had been answered: of four, two are TCP and one is UDP over IPv4 with
// its source translated, and one is UDP over IPv6. Numbers end at 1<<24. No packet
// moves: counters and start times are there where the sysctls nf_conntrack_acct
// and _timestamp are on, and counters stay 0. Entries last for a day, and an entry
// that is there already is an error (EEXIST), as is a full table (ENOMEM).
func (n *Namespace) Fill(first, count int) error {
	if first < 0 || count < 0 || first+count > fillMost {
		return fmt.Errorf("lab: no entries are numbered %d to %d", first, first+count)
	}
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: n.FD()})
	if err != nil {
		return err
	}
	defer conn.Close()
	for i := first; i < first+count; i += fillBatch {
		if err := fill(conn, i, min(i+fillBatch, first+count)); err != nil {
			return fmt.Errorf("lab: conntrack entries from %d on: %w", i, err)
		}
	}
	return nil
}

// fill creates the entries from to (not included). The kernel answers what fails,
// and the last of them.
func fill(conn *netlink.Conn, from, to int) error {
	messages := make([]netlink.Message, 0, to-from)
	for i := from; i < to; i++ {
		m, err := newFilling(i).message()
		if err != nil {
			return err
		}
		messages = append(messages, m)
	}
	messages[len(messages)-1].Header.Flags |= netlink.Acknowledge
	if _, err := conn.SendMessages(messages); err != nil {
		return err
	}
	_, err := conn.Receive()
	return err
}

// Flush deletes all conntrack entries, as `conntrack -F` does. Each ends with an
// event.
func (n *Namespace) Flush() error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: n.FD()})
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Execute(ctMessage(ctDelete, netlink.Request|netlink.Acknowledge, unix.AF_UNSPEC,
		nil))
	return err
}

// newFilling returns entry i. Its number is in the opener's address, so that all
// tuples differ, and those that come back by their remote address and port.
func newFilling(i int) filling {
	a, b, c := byte(i>>16), byte(i>>8), byte(i)
	local, remote := netip.AddrFrom4([4]byte{10, a, b, c}), netip.AddrFrom4([4]byte{
		198, 18 + a&1, b, c,
	})
	router := netip.MustParseAddr(RouterWANIPv4)
	f := filling{proto: unix.IPPROTO_TCP}
	if i%4 >= 2 {
		f.proto = unix.IPPROTO_UDP
	}
	if i%4 == 3 {
		local = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 0x77, 13: a, 14: b, 15: c})
		remote, router = netip.MustParseAddr(ServerIPv6), local
	}
	server := netip.AddrPortFrom(remote, PortTCP)
	f.orig = [2]netip.AddrPort{netip.AddrPortFrom(local, fillPort), server}
	f.reply = [2]netip.AddrPort{server, netip.AddrPortFrom(router, fillPort+uint16(a>>1))}
	if router == local {
		f.reply[1] = f.orig[0]
	}
	return f
}

// message asks for the entry (IPCTNL_MSG_CT_NEW).
func (f filling) message() (netlink.Message, error) {
	family := byte(unix.AF_INET)
	if f.orig[0].Addr().Is6() {
		family = unix.AF_INET6
	}
	b, err := f.attributes()
	return ctMessage(ctNew, netlink.Request|netlink.Create|netlink.Excl, family, b), err
}

func (f filling) attributes() ([]byte, error) {
	ae := netlink.NewAttributeEncoder()
	ae.ByteOrder = binary.BigEndian
	ae.Nested(ctaTupleOrig, func(ae *netlink.AttributeEncoder) error { return f.tuple(ae, f.orig) })
	ae.Nested(ctaTupleReply,
		func(ae *netlink.AttributeEncoder) error { return f.tuple(ae, f.reply) })
	ae.Uint32(ctaStatus, answeredStatus)
	ae.Uint32(ctaTimeout, fillTimeout)
	if f.proto == unix.IPPROTO_TCP {
		ae.Nested(ctaProtoinfo, func(ae *netlink.AttributeEncoder) error {
			ae.Nested(ctaProtoinfoTCP, func(ae *netlink.AttributeEncoder) error {
				ae.Uint8(ctaTCPState, tcpEstablished)
				return nil
			})
			return nil
		})
	}
	return ae.Encode()
}

func (f filling) tuple(ae *netlink.AttributeEncoder, ends [2]netip.AddrPort) error {
	ae.Nested(ctaTupleIP, func(ae *netlink.AttributeEncoder) error {
		typ := uint16(ctaIPv4Src)
		if ends[0].Addr().Is6() {
			typ = ctaIPv6Src
		}
		ae.Bytes(typ, ends[0].Addr().AsSlice())
		ae.Bytes(typ+1, ends[1].Addr().AsSlice())
		return nil
	})
	ae.Nested(ctaTupleProto, func(ae *netlink.AttributeEncoder) error {
		ae.Uint8(ctaProtoNum, f.proto)
		ae.Uint16(ctaSrcPort, ends[0].Port())
		ae.Uint16(ctaDstPort, ends[1].Port())
		return nil
	})
	return nil
}

// ctMessage puts a struct nfgenmsg before the attributes.
func ctMessage(
	typ netlink.HeaderType, flags netlink.HeaderFlags, family byte, attributes []byte,
) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: typ, Flags: flags},
		Data:   append([]byte{family, unix.NFNETLINK_V0, 0, 0}, attributes...),
	}
}

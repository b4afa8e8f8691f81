package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// TrackRule is what an administrator types to have connections tracked where no
// other rule asks for it. The chain is in no hook: the mention alone counts.
const TrackRule = "nft 'table inet conntally { chain track { ct state new; }; }'"

// Tracking reports whether the kernel tracks connections in the calling thread's
// network namespace: it sends a datagram to itself on loopback and looks for
// its entry. Rules and counts prove nothing.
func Tracking() (bool, error) {
	return withLoopback(tracked)
}

// withLoopback sends a datagram to itself and then calls try with its address, while no
// other socket can have it.
func withLoopback(try func(self netip.AddrPort) (bool, error)) (bool, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return false, err
	}
	defer conn.Close()
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	self := netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	if err := echo(conn, self); err != nil {
		return false, fmt.Errorf("loopback probe: %w", err)
	}
	return try(self)
}

// echo sends a datagram from conn to itself.
func echo(conn *net.UDPConn, self netip.AddrPort) error {
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.WriteToUDPAddrPort([]byte{0}, self); err != nil {
		return err
	}
	_, _, err := conn.ReadFromUDPAddrPort(make([]byte, 1))
	return err
}

// tracked asks for the entry of a datagram from self to self.
func tracked(self netip.AddrPort) (bool, error) {
	err := ask(loopbackMessage(msgGetEntry, self))
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil, err
}

// loopbackMessage names the entry of a datagram from self to self.
func loopbackMessage(typ uint16, self netip.AddrPort) netlink.Message {
	return nfMessage(typ, 0, unix.AF_INET, func(a *netlink.AttributeEncoder) {
		a.Nested(aTupleOrig, func(tuple *netlink.AttributeEncoder) error {
			encodeUDP(tuple, self)
			return nil
		})
	})
}

func encodeUDP(tuple *netlink.AttributeEncoder, self netip.AddrPort) {
	tuple.ByteOrder = binary.BigEndian
	tuple.Nested(aTupleIP, func(ip *netlink.AttributeEncoder) error {
		ip.Bytes(aIPv4Src, self.Addr().AsSlice())
		ip.Bytes(aIPv4Dst, self.Addr().AsSlice())
		return nil
	})
	tuple.Nested(aTupleProto, func(proto *netlink.AttributeEncoder) error {
		proto.Uint8(aProtoNum, conntrack.ProtoUDP)
		proto.Uint16(aProtoSrcPort, self.Port())
		proto.Uint16(aProtoDstPort, self.Port())
		return nil
	})
}

// nftables' messages and attributes (linux/netfilter/nf_tables.h).
const (
	nftOwner    = 0x2 // NFT_TABLE_F_OWNER
	nftReg1     = 1
	nftCtState  = 0
	nfprotoInet = 1

	nftChain = "track"
)

// nftTable is a name that neither TrackRule nor another process has.
func nftTable() string { return "conntally-" + strconv.Itoa(os.Getpid()) }

// Track has connections tracked in the calling thread's network namespace until
// the returned Closer is closed or the process ends: it owns a table of the same
// content as TrackRule. Kernels before 5.13 can't.
func Track() (io.Closer, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	if err := addTrackTable(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("nftables: %w", err)
	}
	return conn, nil
}

func addTrackTable(conn *netlink.Conn) error {
	messages := []netlink.Message{
		nfMessage(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.AF_UNSPEC, nil),
		nfMessage(nftType(unix.NFT_MSG_NEWTABLE), netlink.Create, nfprotoInet,
			func(a *netlink.AttributeEncoder) {
				a.String(unix.NFTA_TABLE_NAME, nftTable())
				a.Bytes(unix.NFTA_TABLE_FLAGS, []byte{0, 0, 0, nftOwner})
			}),
		nfMessage(nftType(unix.NFT_MSG_NEWCHAIN), netlink.Create, nfprotoInet,
			func(a *netlink.AttributeEncoder) {
				a.String(unix.NFTA_CHAIN_TABLE, nftTable())
				a.String(unix.NFTA_CHAIN_NAME, nftChain)
			}),
		nfMessage(nftType(unix.NFT_MSG_NEWRULE), netlink.Create|netlink.Append|netlink.Acknowledge,
			nfprotoInet, trackRule),
		nfMessage(unix.NFNL_MSG_BATCH_END, 0, unix.AF_UNSPEC, nil),
	}
	if _, err := conn.SendMessages(messages); err != nil {
		return err
	}
	_, err := conn.Receive()
	return err
}

// trackRule is the expression "ct state" and nothing else.
func trackRule(a *netlink.AttributeEncoder) {
	a.String(unix.NFTA_RULE_TABLE, nftTable())
	a.String(unix.NFTA_RULE_CHAIN, nftChain)
	a.Nested(unix.NFTA_RULE_EXPRESSIONS, func(list *netlink.AttributeEncoder) error {
		list.Nested(unix.NFTA_LIST_ELEM, func(expr *netlink.AttributeEncoder) error {
			expr.String(unix.NFTA_EXPR_NAME, "ct")
			expr.Nested(unix.NFTA_EXPR_DATA, func(ct *netlink.AttributeEncoder) error {
				ct.Bytes(unix.NFTA_CT_DREG, []byte{0, 0, 0, nftReg1})
				ct.Bytes(unix.NFTA_CT_KEY, []byte{0, 0, 0, nftCtState})
				return nil
			})
			return nil
		})
		return nil
	})
}

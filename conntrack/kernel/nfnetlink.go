package kernel

import (
	"errors"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// errMalformed is an answer that contradicts its own lengths.
var errMalformed = errors.New("malformed nfnetlink message")

const nfgenmsgLen = 4 // struct nfgenmsg

// Messages and attributes of the conntrack subsystem (nfnetlink_conntrack.h).
const (
	msgNewEntry = unix.NFNL_SUBSYS_CTNETLINK << 8   // IPCTNL_MSG_CT_NEW
	msgGetEntry = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1 // IPCTNL_MSG_CT_GET
	msgDelEntry = unix.NFNL_SUBSYS_CTNETLINK<<8 | 2 // IPCTNL_MSG_CT_DELETE
	msgGetStats = unix.NFNL_SUBSYS_CTNETLINK<<8 | 5 // IPCTNL_MSG_CT_GET_STATS

	aTupleOrig    = 1
	aTupleReply   = 2
	aStatus       = 3
	aTimeout      = 7
	aTupleIP      = 1
	aIPv4Src      = 1
	aIPv4Dst      = 2
	aTupleProto   = 2
	aProtoNum     = 1
	aProtoSrcPort = 2
	aProtoDstPort = 3
)

func nftType(message uint16) uint16 { return unix.NFNL_SUBSYS_NFTABLES<<8 | message }

// nfMessage makes one message of a netfilter subsystem.
func nfMessage(
	typ uint16, flags netlink.HeaderFlags, family uint8, fill func(*netlink.AttributeEncoder),
) netlink.Message {
	data := []byte{family, unix.NFNETLINK_V0, 0, 0}
	if fill == nil {
		data[3] = unix.NFNL_SUBSYS_NFTABLES // whose batch it is
	} else {
		a := netlink.NewAttributeEncoder()
		fill(a)
		b, _ := a.Encode() // fails on values over 64 KiB only
		data = append(data, b...)
	}
	return netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(typ), Flags: netlink.Request | flags},
		Data:   data,
	}
}

package kernel

import (
	"encoding/binary"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Netlink sockets by sock_diag(7) (linux/netlink_diag.h).
const (
	diagRequestLen    = 20 // struct netlink_diag_req
	diagMessageLen    = 28 // struct netlink_diag_msg
	diagShowFlags     = 0x8
	diagFlags         = 4 // NETLINK_DIAG_FLAGS
	diagFlagBroadcast = 0x4
)

// reliableSockets returns the inodes of netfilter sockets with
// NETLINK_BROADCAST_ERROR.
func reliableSockets() (inodes []uint64, err error) {
	conn, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	request := make([]byte, diagRequestLen)
	request[0], request[1] = unix.AF_NETLINK, unix.NETLINK_NETFILTER
	binary.NativeEndian.PutUint32(request[8:], diagShowFlags)
	messages, err := conn.Execute(netlink.Message{
		Header: netlink.Header{
			Type: unix.SOCK_DIAG_BY_FAMILY, Flags: netlink.Request | netlink.Dump,
		},
		Data: request,
	})
	for _, m := range messages {
		if inode, reliable := decodeDiag(m.Data); reliable {
			inodes = append(inodes, inode)
		}
	}
	return inodes, err
}

func decodeDiag(b []byte) (inode uint64, reliable bool) {
	if len(b) < diagMessageLen {
		return 0, false
	}
	inode = uint64(binary.NativeEndian.Uint32(b[16:]))
	a, err := netlink.NewAttributeDecoder(b[diagMessageLen:])
	if err != nil {
		return inode, false
	}
	for a.Next() {
		if a.Type() == diagFlags {
			reliable = a.Uint32()&diagFlagBroadcast != 0
		}
	}
	return inode, reliable && a.Err() == nil
}

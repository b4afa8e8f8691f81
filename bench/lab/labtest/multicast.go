package labtest

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
)

// What a multicast router sets (linux/mroute.h).
const (
	mrtInit   = 200
	mrtAddVIF = 202
	mrtAddMFC = 204

	vifUsesIndex = 8  // VIFF_USE_IFINDEX
	maxVIFs      = 32 // MAXVIFS
)

// vif is struct vifctl.
type vif struct {
	Number     uint16
	Flags, TTL uint8
	RateLimit  uint32
	Index      uint32
	_          [4]byte
}

// mfc is struct mfcctl.
type mfc struct {
	Source, Group [4]byte
	Parent        uint16
	TTLs          [maxVIFs]uint8 // of the packets that each vif sends on, at least; 0: none
	_             [2]byte
	_             [3]uint32
	_             int32
}

// routeGroup has the router forward what the client sends to a group, from lan0 to wan0, for as
// long as the test.
func (w *ways) routeGroup(group [4]byte) error {
	return w.Router.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_IGMP)
		if err != nil {
			return err
		}
		w.t.Cleanup(func() { unix.Close(fd) })
		if err := unix.SetsockoptInt(fd, unix.SOL_IP, mrtInit, 1); err != nil {
			return err
		}
		for number, index := range []uint32{lan0, wan0} {
			v := vif{Number: uint16(number), Flags: vifUsesIndex, TTL: 1, Index: index}
			if err := setStruct(fd, mrtAddVIF, &v); err != nil {
				return err
			}
		}
		m := mfc{Source: netip.MustParseAddr(lab.ClientIPv4).As4(), Group: group}
		m.TTLs[1] = 1
		return setStruct(fd, mrtAddMFC, &m)
	})
}

func setStruct(fd, option int, value any) error {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.NativeEndian, value); err != nil {
		return err
	}
	return unix.SetsockoptString(fd, unix.SOL_IP, option, b.String())
}

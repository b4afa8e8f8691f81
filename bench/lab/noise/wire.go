package noise

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
)

// wire sends frames from a host's only interface to the router.
type wire struct {
	fd          int
	own, router mac
}

func openWire(n, router *lab.Namespace, side lab.Side) (*wire, error) {
	w := &wire{fd: -1}
	err := router.Do(func() error {
		link, err := net.InterfaceByName(string(side))
		if err != nil {
			return err
		}
		w.router = mac(link.HardwareAddr)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return w, n.Do(w.open)
}

func (w *wire) open() error {
	link, err := net.InterfaceByName(lab.HostInterface)
	if err != nil {
		return err
	}
	w.own = mac(link.HardwareAddr)
	w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // receives nothing
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	return os.NewSyscallError("bind", unix.Bind(w.fd, &unix.SockaddrLinklayer{Ifindex: link.Index}))
}

func (w *wire) close() error {
	if w == nil || w.fd < 0 {
		return nil
	}
	fd := w.fd
	w.fd = -1
	return os.NewSyscallError("close", unix.Close(fd))
}

// send sends packets of a host, by the router where they are not for everybody or a group.
func (w *wire) send(from mac, packets ...packet) error {
	for _, p := range packets {
		to, ok := groupMAC(p.to)
		if !ok {
			to = w.router
		}
		if err := w.frame(ether(to, from, p.etherType(), p.marshal())); err != nil {
			return err
		}
	}
	return nil
}

func (w *wire) frame(b []byte) error {
	_, err := unix.Write(w.fd, b)
	return os.NewSyscallError("write", err)
}

// groupMAC returns where frames for a group or a broadcast address go (RFC 1112, 2464).
func groupMAC(to netip.Addr) (m mac, ok bool) {
	b := to.AsSlice()
	switch {
	case to.IsMulticast() && to.Is4():
		return mac{0x01, 0x00, 0x5e, b[1] & 0x7f, b[2], b[3]}, true
	case to.IsMulticast():
		return mac{0x33, 0x33, b[12], b[13], b[14], b[15]}, true
	case to == everybody, to == lanBroadcast, to == wanBroadcast:
		return broadcast, true
	}
	return mac{}, false
}

// mac is an Ethernet address.
type mac [6]byte

var broadcast = mac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// ether returns a frame.
func ether(to, from mac, typ uint16, payload []byte) []byte {
	b := append(append(make([]byte, 0, 14+len(payload)), to[:]...), from[:]...)
	return append(binary.BigEndian.AppendUint16(b, typ), payload...)
}

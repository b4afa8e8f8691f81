package traffic

import (
	"fmt"
	"net"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
)

const batch = 64 // packets of one sendmmsg

// wire is a packet socket at a host's interface, and packets that wait for it.
type wire struct {
	fd      int
	waiting int
	frames  [batch]frame
	iovecs  [batch]unix.Iovec
	headers [batch]messageHeader
}

// messageHeader is struct mmsghdr of sendmmsg(2).
type messageHeader struct {
	header unix.Msghdr
	length uint32
}

// openWire opens host's interface; its packets go to the router's at the other end.
func openWire(host, router *lab.Namespace, side lab.Side) (*wire, error) {
	_, to, err := hardware(router, string(side))
	if err != nil {
		return nil, err
	}
	index, from, err := hardware(host, lab.HostInterface)
	if err != nil {
		return nil, err
	}
	w := &wire{}
	if err := host.Do(func() error { return w.open(index) }); err != nil {
		return nil, fmt.Errorf("traffic: packet socket: %w", err)
	}
	for i := range w.frames {
		w.frames[i].link(from, to)
		w.iovecs[i].Base = &w.frames[i][0]
		w.headers[i].header.Iov = &w.iovecs[i]
		w.headers[i].header.SetIovlen(1)
	}
	return w, nil
}

func hardware(n *lab.Namespace, name string) (index int, mac [6]byte, err error) {
	err = n.Do(func() error {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return fmt.Errorf("traffic: %s: %w", name, err)
		}
		index = i.Index
		copy(mac[:], i.HardwareAddr)
		return nil
	})
	return index, mac, err
}

// open binds to no protocol, so that nothing is received, and sends past any queue.
func (w *wire) open(index int) (err error) {
	w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	err = unix.SetsockoptInt(w.fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
	if err == nil {
		err = unix.Bind(w.fd, &unix.SockaddrLinklayer{Ifindex: index})
	}
	if err != nil {
		unix.Close(w.fd)
	}
	return err
}

func (w *wire) close() { unix.Close(w.fd) }

// add puts a packet in line, for which there must be room.
func (w *wire) add(p *Packet, client uint32) {
	w.iovecs[w.waiting].SetLen(w.frames[w.waiting].set(p, client))
	w.waiting++
}

func (w *wire) full() bool { return w.waiting == batch }

// flush sends what waits. It returns how many packets the kernel took; the others
// are given up.
func (w *wire) flush() (sent int, err error) {
	for sent < w.waiting {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(w.fd),
			uintptr(unsafe.Pointer(&w.headers[sent])),
			uintptr(w.waiting-sent), 0, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			err = fmt.Errorf("traffic: sendmmsg: %w", errno)
			break
		}
		if errno == 0 {
			sent += int(n)
		}
	}
	w.waiting = 0
	return sent, err
}

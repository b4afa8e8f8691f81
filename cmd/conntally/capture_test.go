package main

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
)

// span is when the first and the last packet of something passed, by the kernel's
// time stamps.
type span struct{ first, last time.Time }

// capture notes when packets pass the router's interface to the LAN, where connections
// have their two real ends.
type capture struct {
	fd int

	mu    sync.Mutex
	spans map[flowKey]span // of both directions together, by the direction that began
}

func (r *rig) capture() *capture {
	r.t.Helper()
	c := &capture{spans: map[flowKey]span{}}
	if err := r.Router.Do(c.open); err != nil {
		r.t.Fatal(err)
	}
	file := os.NewFile(uintptr(c.fd), "capture")
	raw, err := file.SyscallConn()
	if err != nil {
		r.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = raw.Read(c.read) // until the file is closed
	}()
	r.t.Cleanup(func() { file.Close(); <-done })
	return c
}

func (c *capture) open() (err error) {
	lan, err := net.InterfaceByName(string(lab.LAN))
	if err != nil {
		return err
	}
	c.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for option, value := range map[int]int{unix.SO_TIMESTAMPNS: 1, unix.SO_RCVBUFFORCE: 16 << 20} {
		if err := unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, option, value); err != nil {
			return err
		}
	}
	return unix.Bind(c.fd, &unix.SockaddrLinklayer{Protocol: everyProtocol(), Ifindex: lan.Index})
}

// everyProtocol is ETH_P_ALL in network order.
func everyProtocol() uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], unix.ETH_P_ALL)
	return binary.NativeEndian.Uint16(b[:])
}

// read reads all packets that are there, and asks to be called again.
func (c *capture) read(fd uintptr) (done bool) {
	packet, control := make([]byte, 128), make([]byte, 128)
	for {
		n, size, _, _, err := unix.Recvmsg(int(fd), packet, control, 0)
		if err != nil {
			return false
		}
		if key, ok := keyOf(packet[:n]); ok {
			c.note(key, stampOf(control[:size]))
		}
	}
}

func (c *capture) note(key flowKey, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, reply := c.spans[key.reversed()]; reply {
		key = key.reversed()
	}
	s, known := c.spans[key]
	if !known {
		s.first = at
	}
	s.last = at
	c.spans[key] = s
}

// all returns what was seen so far.
func (c *capture) all() map[flowKey]span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spans
}

func (k flowKey) reversed() flowKey { return flowKey{k.proto, k.dst, k.src, k.dstPort, k.srcPort} }

// keyOf reads the headers of a TCP or UDP packet without options or extensions.
func keyOf(b []byte) (k flowKey, ok bool) {
	if len(b) < 44 {
		return k, false
	}
	rest := b[20:]
	switch b[0] >> 4 {
	case 4:
		k.proto, k.src, k.dst = b[9], netip.AddrFrom4([4]byte(b[12:])),
			netip.AddrFrom4([4]byte(b[16:]))
	case 6:
		k.proto, k.src, k.dst, rest = b[6], netip.AddrFrom16([16]byte(b[8:])),
			netip.AddrFrom16([16]byte(b[24:])), b[40:]
	}
	// such as the hosts' multicast reports
	if k.proto != unix.IPPROTO_TCP && k.proto != unix.IPPROTO_UDP {
		return k, false
	}
	k.srcPort, k.dstPort = binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:])
	return k, true
}

// stampOf reads SCM_TIMESTAMPNS.
func stampOf(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS &&
			len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			at := (*unix.Timespec)(unsafe.Pointer(&m.Data[0]))
			return time.Unix(at.Unix())
		}
	}
	return time.Time{}
}

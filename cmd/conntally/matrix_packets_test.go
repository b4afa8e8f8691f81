package main

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
)

// experimental is an IP protocol that conntrack knows nothing of (RFC 3692).
const experimental = 253

// packet is an IP packet with the payload of a protocol. Checksums beyond IPv4's are
// missing: the routers of these tests don't look at them.
func packet(from, to netip.Addr, proto uint8, payload []byte) []byte {
	var b []byte
	if from.Is4() {
		b = make([]byte, 20, 20+len(payload))
		b[0], b[8], b[9] = 0x45, 64, proto // length and checksum: raw_send_hdrinc
		copy(b[12:], from.AsSlice())
		copy(b[16:], to.AsSlice())
	} else {
		b = make([]byte, 40, 40+len(payload))
		b[0], b[6], b[7] = 0x60, proto, 64
		binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
		copy(b[8:], from.AsSlice())
		copy(b[24:], to.AsSlice())
	}
	return append(b, payload...)
}

// send sends packets from a host of the lab.
func (r *rig) send(host *lab.Namespace, packets ...[]byte) {
	r.t.Helper()
	err := host.Do(func() error {
		for _, b := range packets {
			if err := sendRaw(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func sendRaw(b []byte) error {
	family, to := unix.AF_INET, unix.Sockaddr(nil)
	if b[0]>>4 == 4 {
		to = &unix.SockaddrInet4{Addr: [4]byte(b[16:])}
	} else {
		family, to = unix.AF_INET6, &unix.SockaddrInet6{Addr: [16]byte(b[24:])}
	}
	// the header included
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, b, 0, to)
}

// The packets of both sides of a connection: request and answer. Ports are 0 for protocols
// without.

func ports(from, to uint16, rest ...byte) []byte {
	return append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, from), to),
		rest...)
}

func udpSays(from, to uint16, _ bool) []byte { return ports(from, to, 0, 12, 0, 0, 1, 2, 3, 4) }

func udpliteSays(from, to uint16, _ bool) []byte { return ports(from, to, 0, 8, 0, 1, 1, 2, 3, 4) }

func tcpSays(from, to uint16, answer bool) []byte {
	seq, ack, flags := uint32(1000), uint32(0), byte(0x02) // SYN
	if answer {
		seq, ack, flags = 5000, 1001, 0x12 // SYN, ACK
	}
	b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(ports(from, to), seq), ack)
	return append(b, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0)
}

// sctpSays is INIT, then INIT ACK under the tag that the first has asked for.
func sctpSays(from, to uint16, answer bool) []byte {
	tag, chunk := uint32(0), byte(1)
	if answer {
		tag, chunk = 7, 2
	}
	b := binary.BigEndian.AppendUint32(ports(from, to), tag)
	b = append(b, 0, 0, 0, 0, chunk, 0, 0, 20)
	b = binary.BigEndian.AppendUint32(b, 7)
	return append(b, 0, 0, 0xff, 0xff, 0, 1, 0, 1, 0, 0, 0, 1)
}

// dccpSays is DCCP-Request, then DCCP-Response.
func dccpSays(from, to uint16, answer bool) []byte {
	b := ports(from, to, 5, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1)
	if answer {
		b[8] = 1<<1 | 1
		b[4] = 7
		return append(b, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0)
	}
	return append(b, 0, 0, 0, 0)
}

func greSays(_, _ uint16, _ bool) []byte { return []byte{0, 0, 0x08, 0, 1, 2, 3, 4} }

func rawSays(_, _ uint16, _ bool) []byte { return []byte{1, 2, 3, 4, 5, 6, 7, 8} }

// pingSays is echo request and reply; its identifier stands where others have a port.
func pingSays(id, _ uint16, answer bool) []byte {
	typ := byte(8)
	if answer {
		typ = 0
	}
	return []byte{typ, 0, 0, 0, byte(id >> 8), byte(id), 0, 1, 9, 9, 9, 9}
}

func ping6Says(id, _ uint16, answer bool) []byte {
	b := pingSays(id, 0, answer)
	b[0] = 128
	if answer {
		b[0] = 129
	}
	return b
}

package lab

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	floodHost      = 20  // the first source is 192.168.77.20
	floodHosts     = 231 // the last is .250
	floodPort      = 1024
	floodPorts     = 64000 // shares no factor with floodHosts: each pair comes once
	floodMost      = floodHosts * floodPorts
	floodStep      = 64 // packets between two looks at the clock
	floodInFlight  = 256
	floodLook      = 200 * time.Microsecond
	floodLifetime  = 64 // TTL
	ipv4HeaderSize = 20
)

// FloodFlow is many flows of one UDP datagram each, from the client to the server's
// silent port. Flow i has an address and a port of its own, between 192.168.77.20
// and .250; the addresses are not the client's, and nothing answers.
type FloodFlow struct {
	Flows int
	Rate  int // new flows per second, 0 = as fast as it goes
	Size  int // bytes of payload
	First int // number of the first flow; they end at 14,784,000
}

// Flood sends the flows and returns when they have been forwarded. The router's
// translation has one port for each 64000 flows: an entry has to be gone when the
// next of its port comes. Only ctx bounds how long it takes.
func (l *Lab) Flood(ctx context.Context, f FloodFlow) error {
	if f.First < 0 || f.Flows < 0 || f.First+f.Flows > floodMost || f.Size < 0 ||
		f.Size > unbroken {
		return fmt.Errorf("lab: flood: no such flows: %+v", f)
	}
	var fd int
	err := l.Client.Do(func() (err error) {
		// IP_HDRINCL
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	})
	if err != nil {
		return fmt.Errorf("lab: flood: %w", err)
	}
	defer unix.Close(fd)
	run := &flood{FloodFlow: f, lab: l, fd: fd, packet: floodPacket(f.Size), begin: time.Now()}
	if err := run.send(ctx); err != nil {
		return fmt.Errorf("lab: flood: %w", err)
	}
	return nil
}

// FloodSource returns the source of flow i, before any NAT.
func FloodSource(i int) netip.AddrPort {
	addr := netip.MustParseAddr(ClientIPv4).As4()
	addr[3] = byte(floodHost + i%floodHosts)
	return netip.AddrPortFrom(netip.AddrFrom4(addr), uint16(floodPort+i%floodPorts))
}

// flood is a FloodFlow under way.
type flood struct {
	FloodFlow
	lab    *Lab
	fd     int
	packet []byte
	begin  time.Time
}

// floodPacket is a datagram whose source is still missing. The kernel fills in the
// length, the identification and the header's checksum (raw_send_hdrinc); UDP
// over IPv4 needs none.
func floodPacket(size int) []byte {
	b := make([]byte, ipv4HeaderSize+udpHeader+size)
	b[0], b[8], b[9] = 0x45, floodLifetime, unix.IPPROTO_UDP
	copy(b[12:], bytesOf(ClientIPv4))
	copy(b[16:], bytesOf(ServerIPv4))
	binary.BigEndian.PutUint16(b[22:], PortSilent)
	binary.BigEndian.PutUint16(b[24:], uint16(udpHeader+size))
	return b
}

func (f *flood) send(ctx context.Context) error {
	to := &unix.SockaddrInet4{Addr: [4]byte(bytesOf(ServerIPv4))}
	for done := 0; done < f.Flows; {
		// No more is on its way than the queues hold.
		if err := f.forwarded(ctx, floodInFlight-floodStep); err != nil {
			return err
		}
		step := min(floodStep, f.Flows-done)
		if err := f.wait(ctx, done+step); err != nil {
			return err
		}
		for i := range step {
			f.address(f.First + done + i)
			if err := unix.Sendto(f.fd, f.packet, 0, to); err != nil {
				return err
			}
		}
		done += step
		f.lab.generated.add(Class{unix.AF_INET, unix.IPPROTO_UDP}, step, step*len(f.packet))
	}
	return f.forwarded(ctx, 0)
}

// wait waits for the time at which n packets may have been sent.
func (f *flood) wait(ctx context.Context, n int) error {
	if f.Rate <= 0 {
		return ctx.Err()
	}
	return WaitUntil(ctx,
		f.begin.Add(time.Duration(float64(n)/float64(f.Rate)*float64(time.Second))))
}

// address gives the packet the source of flow i.
func (f *flood) address(i int) {
	f.packet[15] = byte(floodHost + i%floodHosts)
	binary.BigEndian.PutUint16(f.packet[20:], uint16(floodPort+i%floodPorts))
}

// forwarded waits until of what the client has sent by now the router has
// forwarded all but so many datagrams.
func (f *flood) forwarded(ctx context.Context, allBut uint64) error {
	udp := Class{unix.AF_INET, unix.IPPROTO_UDP}
	sent, err := readMeters(f.lab.Client, HostInterface)
	if err != nil {
		return err
	}
	for {
		forwarded, err := f.lab.ForwardedFrom(LAN)
		if err != nil {
			return err
		}
		if forwarded[udp].Packets+allBut >= sent[udp].Packets {
			return nil
		}
		if err := WaitUntil(ctx, time.Now().Add(floodLook)); err != nil {
			return fmt.Errorf("sent %v, forwarded %v: %w", sent[udp], forwarded[udp], err)
		}
	}
}

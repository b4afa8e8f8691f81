package main

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export/decode"
)

const tcpSYN = 0x02

// attributed starts a probe that exports what is asked for by IPFIX and v9, soon.
func (r *rig) attributed(s *sink, flow string) *process {
	r.t.Helper()
	return r.probe("--config", configFile(r.t, fmt.Sprintf(`[[collector]]
address = %q
[[collector]]
address = %q
protocol = "netflow9"
[flow]
active_timeout = "1s"
idle_timeout = "1s"
%s
[conntrack]
poll_interval = "500ms"
max_cpu = 100.0
`, s.Address(), s.Address(), flow)))
}

// TestPickedUpConnectionHasNoSYN flushes the kernel's table under an open connection: from
// then on no record has a SYN, and the biflow's source is not said to have opened it.
func TestPickedUpConnectionHasNoSYN(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	s := r.sink()
	p := r.attributed(s, `biflow = true
extra_fields = ["flow_id"]`)
	conn, err := r.TCP(r.ctx, lab.TCPFlow{Family: unix.AF_INET6, Up: 1000, Down: 1000,
		End: lab.Open})
	if err != nil {
		t.Fatal(err)
	}
	before := ofTCP(s.until("the opened connection",
		func(flows []decode.Flow) bool { return len(ofTCP(flows, 10)) >= 2 }), 10)
	if err := r.Router.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := conn.Send(r.ctx, 777, 888); err != nil {
		t.Fatal(err)
	}
	s.until("the connection picked up", func(flows []decode.Flow) bool {
		last := ofTCP(flows, 10)
		return last[len(last)-1].FlowID != before[0].FlowID
	})
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	r.stop(p)
	flows := s.all()
	ids := map[uint64]int{}
	for _, f := range ofTCP(flows, 10) {
		ids[f.FlowID]++
		if opened := f.FlowID == before[0].FlowID; opened != (f.BiflowDirection != 0) {
			t.Errorf("opened in sight %t: %+v", opened, f)
		}
	}
	if len(ids) != 2 {
		t.Errorf("records by connection: %v", ids)
	}
	for _, version := range []uint16{9, 10} {
		syn := 0
		for i, f := range ofTCP(flows, version) {
			if f.TCPFlags&tcpSYN != 0 {
				if syn++; i > 1 {
					t.Errorf("SYN in record %d: %+v", i, f)
				}
			}
		}
		if syn != 2 {
			t.Errorf("version %d: %d records with SYN", version, syn)
		}
	}
}

func ofTCP(flows []decode.Flow, version uint16) (found []decode.Flow) {
	for _, f := range flows {
		if f.Version == version && f.Protocol == conntrack.ProtoTCP {
			found = append(found, f)
		}
	}
	return found
}

// TestZonesAreExported sets a zone for one direction, as VyOS does for VRFs: records have it
// on the side of the packets that are looked up in it.
func TestZonesAreExported(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.nft(`table inet zones {
	chain pre {
		type filter hook prerouting priority raw
		iifname lan0 udp dport 53 ct original zone set 7
	}
}`)
	s := r.sink()
	p := r.attributed(s, `extra_fields = ["zone"]`)
	err := r.UDP(r.ctx, lab.UDPFlow{Family: unix.AF_INET6, Packets: 2, Size: 100, Answered: true})
	if err != nil {
		t.Fatal(err)
	}
	r.stop(p)
	seen := map[[2]uint32]int{}
	for _, f := range s.all() {
		if f.Protocol != conntrack.ProtoUDP || f.SrcPort != lab.PortAnswer &&
			f.DstPort != lab.PortAnswer {
			continue
		}
		seen[[2]uint32{f.InputZone, f.OutputZone}]++
		if out := f.DstPort == lab.PortAnswer; out != (f.InputZone == 7) ||
			out != (f.OutputZone == 0) {
			t.Errorf("%+v", f)
		}
	}
	if seen[[2]uint32{7, 0}] < 2 || seen[[2]uint32{0, 7}] < 2 {
		t.Errorf("zones in and out: %v", seen)
	}
}

// TestConnectionOfPublishedPortLeavesByLAN has the router talk to a LAN host by a port of
// 127.0.0.1, as a container's is published: it counts, and leaves by the LAN.
func TestConnectionOfPublishedPortLeavesByLAN(t *testing.T) {
	t.Parallel()
	need(t, "nft")
	r := newRig(t, map[string]string{"net/ipv4/conf/all/route_localnet": "1"})
	r.nft(fmt.Sprintf(`table ip published {
	chain out {
		type nat hook output priority -100
		ip daddr 127.0.0.1 udp dport 8080 dnat to %s:8053
	}
	chain post {
		type nat hook postrouting priority 100
		oifname lan0 masquerade
	}
}`, lab.ClientIPv4))
	r.answer(r.Client, netip.AddrPortFrom(netip.MustParseAddr(lab.ClientIPv4), 8053))
	s := r.sink()
	p := r.attributed(s, "")
	err := r.Router.Do(func() error {
		conn, err := net.Dial("udp", "127.0.0.1:8080")
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err = conn.Write(make([]byte, 72)); err == nil {
			_, err = conn.Read(make([]byte, 100))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r.stop(p)
	lan0 := r.indexOf("lan0")
	out, back := 0, 0
	for _, f := range s.all() {
		switch {
		case f.DstPort == 8053 && f.Src.IsLoopback() && f.Output == lan0 && f.Bytes == 100:
			out++
		case f.SrcPort == 8053 && f.Dst.IsLoopback() && f.Input == lan0 && f.Bytes == 100:
			back++
		default:
			t.Errorf("%+v", f)
		}
	}
	if out != 2 || back != 2 {
		t.Errorf("%d records out and %d back, by two protocols", out, back)
	}
}

// indexOf returns the ifIndex of an interface of the router.
func (r *rig) indexOf(name string) (index uint32) {
	r.t.Helper()
	err := r.Router.Do(func() error {
		i, err := net.InterfaceByName(name)
		if err == nil {
			index = uint32(i.Index)
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return index
}

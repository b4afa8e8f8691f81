package decode_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/conntally/conntally/export/decode"
)

// biflowTemplate has the specifiers of IANA's elements, then those of the reverse
// direction.
func biflowTemplate(specifiers, reverse []uint16) []byte {
	b := cat(words(300, uint16(len(specifiers)/2+len(reverse)/2)), words(specifiers...))
	for i := 0; i < len(reverse); i += 2 {
		b = cat(b, words(reverse[i]|0x8000, reverse[i+1]), u32(29305))
	}
	return b
}

// A record of both directions is a flow of each that moved.
func TestBiflow(t *testing.T) {
	forward := decode.Flow{
		Exporter: exporter(), Version: 10, Domain: domain, Template: 300,
		Src: netip.MustParseAddr(lan4), Dst: netip.MustParseAddr(wan4), SrcPort: 1024, DstPort: 443,
		Protocol: 6,
		TCPFlags: 0x1b, Input: 3, Output: 2, Packets: 5, Bytes: 600, VLAN: 30,
		SrcMAC: [6]byte{2, 0, 0, 0, 0, 1},
		FlowID: 77, End: endTime(),
	}
	reverse := forward
	reverse.Src, reverse.Dst, reverse.SrcPort, reverse.DstPort = forward.Dst, forward.Src, 443, 1024
	reverse.Input, reverse.Output, reverse.VLAN, reverse.PostVLAN = 2, 3, 0, 30
	reverse.TCPFlags, reverse.Packets, reverse.Bytes, reverse.SrcMAC = 0x12, 70, 80000, [6]byte{}
	reverse.PostSrc, reverse.PostSrcPort = netip.MustParseAddr("203.0.113.1"), 8443

	specifiers := []uint16{
		8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 6, 1, 10, 4, 14, 4, 2, 8, 1, 8, 153, 8, 58, 2, 56, 6, 148,
		8,
	}
	back := []uint16{2, 8, 1, 8, 6, 1, 225, 4, 227, 2}
	cases := []struct {
		name              string
		counters, reverse [2]uint64
		want              []decode.Flow
	}{
		{"both", [2]uint64{5, 600}, [2]uint64{70, 80000}, []decode.Flow{forward, reverse}},
		{"reverse alone", [2]uint64{}, [2]uint64{70, 80000}, []decode.Flow{reverse}},
		{"forward alone", [2]uint64{5, 600}, [2]uint64{}, []decode.Flow{forward}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			record := cat(ip(lan4), ip(wan4), words(1024, 443), u8(6), u8(0x1b), u32(3), u32(2),
				u64(c.counters[0]), u64(c.counters[1]), u64(uint64(endTime().UnixMilli())), u16(30),
				[]byte{2, 0, 0, 0, 0, 1}, u64(77),
				u64(c.reverse[0]), u64(c.reverse[1]), u8(0x12), ip("203.0.113.1"), u16(8443))
			m := decodeAll(t,
				ipfixMessage(0, setOf(2, biflowTemplate(specifiers, back)), setOf(300, record)))
			if len(m.Flows) != len(c.want) || m.DataRecords != 1 {
				t.Fatalf("%d records: %+v", m.DataRecords, m.Flows)
			}
			for i := range c.want {
				if m.Flows[i] != c.want[i] {
					t.Errorf("\n got %+v\nwant %+v", m.Flows[i], c.want[i])
				}
			}
		})
	}
}

// A forwarded port, as it enters the router: not the router answers but the host behind it.
func TestBiflowOfForwardedPort(t *testing.T) {
	template := biflowTemplate([]uint16{8, 4, 12, 4, 7, 2, 11, 2, 2, 8, 226, 4, 228, 2},
		[]uint16{2, 8, 225, 4, 226, 4, 227, 2, 228, 2})
	record := cat(ip(wan4), ip("203.0.113.1"), words(1024, 8443), u64(4), ip(lan4), words(443),
		u64(5), ip("203.0.113.1"), ip(wan4), words(8443, 1024))
	m := decodeAll(t, ipfixMessage(0, setOf(2, template), setOf(300, record)))
	if len(m.Flows) != 2 {
		t.Fatalf("got %+v", m.Flows)
	}
	client, router, host := netip.MustParseAddr(wan4), netip.MustParseAddr("203.0.113.1"),
		netip.MustParseAddr(lan4)
	if f := m.Flows[1]; f.Src != host || f.SrcPort != 443 || f.Dst != client || f.DstPort != 1024 ||
		f.PostSrc != router || f.PostSrcPort != 8443 || f.PostDst != client {
		t.Errorf("got %+v", f)
	}
}

// The type and code of ICMP are each direction's own.
func TestBiflowICMP(t *testing.T) {
	template := biflowTemplate([]uint16{4, 1, 11, 2, 32, 2, 2, 8}, []uint16{32, 2, 2, 8})
	record := cat(u8(1), u16(8<<8), u16(8<<8), u64(4), u16(0), u64(4))
	m := decodeAll(t, ipfixMessage(0, setOf(2, template), setOf(300, record)))
	if len(m.Flows) != 2 || m.Flows[0].ICMPType != 8 || m.Flows[1].ICMPType != 0 ||
		m.Flows[1].DstPort != 0 || m.Flows[1].SrcPort != 0 {
		t.Errorf("got %+v", m.Flows)
	}
}

// The sequence counts records, not flows.
func TestBiflowSequence(t *testing.T) {
	template := biflowTemplate([]uint16{2, 8}, []uint16{2, 8})
	record := cat(u64(4), u64(5))
	d := decode.New(decode.Options{})
	for sequence := range uint32(3) {
		m, err := d.Decode(ipfixMessage(2*sequence, setOf(2, template), setOf(300, record, record)),
			exporter())
		if err != nil || m.Missed != 0 || m.Late || len(m.Flows) != 4 {
			t.Errorf("%+v, %v", m, err)
		}
	}
}

// Events of translations are no flows.
func TestNATEvents(t *testing.T) {
	observed := time.UnixMilli(exported*1000 - 17).UTC()
	for _, version := range []uint16{9, 10} {
		template := template(300, 323, 8, 230, 1, 8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 225, 4, 226, 4,
			227, 2, 228, 2)
		record := cat(u64(uint64(observed.UnixMilli())), u8(4), ip(lan4), ip(wan4),
			words(1024, 443), u8(6),
			ip("203.0.113.1"), ip(wan4), words(60000, 443))
		m := decodeAll(t,
			message(version)(0, setOf(templateSetID(version), template), setOf(300, record)))
		lan, wan := netip.MustParseAddr(lan4), netip.MustParseAddr(wan4)
		want := decode.NATEvent{
			Observed: observed, Event: 4, Protocol: 6, Src: lan, Dst: wan, SrcPort: 1024,
			DstPort: 443,
			PostSrc: netip.MustParseAddr("203.0.113.1"), PostDst: wan, PostSrcPort: 60000,
			PostDstPort: 443,
		}
		if len(m.NATEvents) != 1 || m.NATEvents[0] != want || len(m.Flows) != 0 ||
			m.DataRecords != 1 {
			t.Errorf("version %d: %+v", version, m)
		}
	}
}

// A flow record that names an event is a flow.
func TestFlowWithNATEvent(t *testing.T) {
	m := decodeAll(t,
		ipfixMessage(0, setOf(2, template(300, 230, 1, 2, 8)), setOf(300, u8(1), u64(5))))
	if len(m.Flows) != 1 || len(m.NATEvents) != 0 {
		t.Errorf("%+v", m)
	}
}

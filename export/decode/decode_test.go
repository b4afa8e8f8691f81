package decode_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/conntally/conntally/export/decode"
)

// elementCase is an IPFIX record with a template of its own.
type elementCase struct {
	name     string
	template []uint16
	record   []byte
	want     decode.Flow
}

func elementCases() []elementCase {
	return []elementCase{
		{"reduced sizes", []uint16{7, 1, 1, 3, 2, 5, 10, 1, 6, 2},
			cat(u8(53), be(0x010203, 3), be(0x0102030405, 5), u8(9), u16(0x0112)),
			decode.Flow{
				SrcPort: 53, Bytes: 0x010203, Packets: 0x0102030405, Input: 9, TCPFlags: 0x12,
			}},
		{"totals", []uint16{85, 8, 86, 4}, cat(u64(9000), u32(7)),
			decode.Flow{Bytes: 9000, Packets: 7}},
		{"deltas before totals", []uint16{85, 8, 1, 8}, cat(u64(9000), u64(10)),
			decode.Flow{Bytes: 10}},
		{"number of nine bytes", []uint16{1, 9, 7, 2}, cat(zero(8), u8(1), u16(80)),
			decode.Flow{SrcPort: 80}},
		{"address of five bytes", []uint16{8, 5, 7, 2}, cat(ip(lan4), u8(1), u16(80)),
			decode.Flow{SrcPort: 80}},
		{"both families", []uint16{8, 4, 27, 16}, cat(zero(4), ip(lan6)),
			decode.Flow{Src: netip.MustParseAddr(lan6)}},
		{"unspecified source", []uint16{8, 4}, zero(4), decode.Flow{Src: netip.IPv4Unspecified()}},
		{"not translated", []uint16{225, 4, 226, 4}, zero(8), decode.Flow{}},
		{"translated IPv6", []uint16{281, 16, 282, 16}, cat(ip(lan6), ip(wan6)),
			decode.Flow{PostSrc: netip.MustParseAddr(lan6), PostDst: netip.MustParseAddr(wan6)}},
		{"variable length", []uint16{82, 65535, 7, 2, 83, 65535},
			cat(u8(3), []byte("eth"), u16(80), u8(255), u16(300), zero(300)),
			decode.Flow{SrcPort: 80}},
		{"enterprise", []uint16{0x8001, 4, 0, 12345, 7, 2}, cat(u32(1234), u16(80)),
			decode.Flow{SrcPort: 80}},
		{"ICMP in the port", []uint16{4, 1, 11, 2}, cat(u8(1), u16(3<<8|4)),
			decode.Flow{Protocol: 1, ICMPType: 3, ICMPCode: 4}},
		{"ICMPv6 in 139", []uint16{4, 1, 11, 2, 139, 2}, cat(u8(58), u16(0), u16(128<<8)),
			decode.Flow{Protocol: 58, ICMPType: 128}},
		{"ICMP element of a TCP flow", []uint16{4, 1, 11, 2, 32, 2},
			cat(u8(6), u16(80), u16(0x0800)), decode.Flow{Protocol: 6, DstPort: 80}},
		{"seconds", []uint16{150, 4, 151, 4}, cat(u32(exported-60), u32(exported)),
			decode.Flow{Start: time.Unix(exported-60, 0).UTC(), End: time.Unix(exported, 0).UTC()}},
		{"NTP", []uint16{154, 8, 157, 8},
			cat(u64((exported+2208988800)<<32|1<<31), u64((exported+2208988800)<<32)),
			decode.Flow{
				Start: time.UnixMilli(exported*1000 + 500).UTC(), End: time.Unix(exported, 0).UTC(),
			}},
		{"year 10000", []uint16{152, 8}, u64(253402300800000), decode.Flow{}},
		{"uptime of unknown start", []uint16{22, 4}, u32(5), decode.Flow{}},
	}
}

func TestElements(t *testing.T) {
	for _, c := range elementCases() {
		t.Run(c.name, func(t *testing.T) {
			specifiers := template(300, c.template...)
			if c.name == "enterprise" {
				specifiers[3] = 2 // one of the three pairs is the enterprise number
			}
			m := decodeAll(t, ipfixMessage(0, setOf(2, specifiers), setOf(300, c.record)))
			c.want.Exporter, c.want.Version = exporter(), 10
			c.want.Domain, c.want.Template = domain, 300
			if len(m.Flows) != 1 || m.Flows[0] != c.want {
				t.Errorf("\n got %+v\nwant %+v", m.Flows, c.want)
			}
		})
	}
}

func TestNetFlow9Times(t *testing.T) {
	cases := []struct {
		name          string
		first, uptime uint32
		wantAge       time.Duration
	}{
		{"before", uptime - 61_234, uptime, 61_234 * time.Millisecond},
		{"wrapped between", 0xffffff00, 1000, 1256 * time.Millisecond},
		{"thirty days", 1000, 1000 + 30*86_400_000, 30 * 24 * time.Hour},
		{"ahead by a second", uptime + 1000, uptime, -time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := netflow9Message(0, setOf(0, template(300, 22, 4)), setOf(300, u32(c.first)))
			copy(b[4:], u32(c.uptime))
			m := decodeAll(t, b)
			if age := time.Unix(exported, 0).Sub(m.Flows[0].Start); age != c.wantAge {
				t.Errorf("age %v, want %v", age, c.wantAge)
			}
		})
	}
}

// Milliseconds since 1970 are preferred to uptime in v9 too.
func TestNetFlow9AbsoluteTime(t *testing.T) {
	set := setOf(300, u32(1), u64(uint64(startTime().UnixMilli())))
	m := decodeAll(t, netflow9Message(0, setOf(0, template(300, 22, 4, 152, 8)), set))
	if !m.Flows[0].Start.Equal(startTime()) {
		t.Errorf("start %v", m.Flows[0].Start)
	}
}

// Exporters like softflowd say in an IPFIX option when their uptime began.
func TestSystemInitTime(t *testing.T) {
	m := decodeAll(t, ipfixMessage(0,
		setOf(3, ipfixOptions(400, 143, 4, 160, 8)), setOf(400, u32(1), u64(exported*1000-100_000)),
		setOf(2, template(300, 22, 4)), setOf(300, u32(99_000))))
	if want := time.Unix(exported-1, 0); !m.Flows[0].Start.Equal(want) {
		t.Errorf("start %v, want %v", m.Flows[0].Start, want)
	}
}

func TestTemplateRedefined(t *testing.T) {
	for _, version := range []uint16{9, 10} {
		build, id := message(version), templateSetID(version)
		m := decodeAll(t,
			build(0, setOf(id, small(300)), smallSet(80)),
			build(1, setOf(id, template(300, 11, 2)), setOf(300, u16(443), u16(53))))
		if len(m.Flows) != 2 || m.Flows[0].DstPort != 443 || m.Flows[1].DstPort != 53 ||
			m.Flows[0].SrcPort != 0 {
			t.Errorf("version %d: %+v", version, m.Flows)
		}
	}
}

func TestUnknownTemplate(t *testing.T) {
	for _, version := range []uint16{9, 10} {
		build, id := message(version), templateSetID(version)
		d := decode.New(decode.Options{})
		m, err := d.Decode(build(0, smallSet(80)), exporter())
		if !errors.Is(err, decode.ErrUnknownTemplate) || m.UnknownSets != 1 ||
			len(d.Sources()) != 0 {
			t.Errorf("version %d: alone: %+v, %v", version, m, err)
		}
		m, err = d.Decode(build(1, setOf(999, zero(40)), setOf(id, small(300)), smallSet(80)),
			exporter())
		if !errors.Is(err, decode.ErrUnknownTemplate) || len(m.Flows) != 1 {
			t.Errorf("version %d: beside others: %+v, %v", version, m, err)
		}
		if _, err = d.Decode(build(2, smallSet(81)), exporter()); err != nil {
			t.Errorf("version %d: afterwards: %v", version, err)
		}
		elsewhere := netip.MustParseAddrPort("192.0.2.1:40001")
		if _, err = d.Decode(
			build(2, smallSet(81)), elsewhere,
		); !errors.Is(err, decode.ErrUnknownTemplate) {
			t.Errorf("version %d: another port: %v", version, err)
		}
		if c := d.Counters(); c.UnknownSets != 3 || c.Refused != 0 || c.Flows != 2 {
			t.Errorf("version %d: %+v", version, c)
		}
	}
}

// A message may outlive the datagram's buffer.
func TestNoSharedMemory(t *testing.T) {
	for _, version := range []uint16{9, 10} {
		sets, flows := ourSets(version)
		b := message(version)(0, sets...)
		d := decode.New(decode.Options{})
		m, err := d.Decode(b, exporter())
		clear(b)
		if err != nil || m.Flows[0] != flows[0] {
			t.Errorf("version %d: %+v, %v", version, m.Flows[0], err)
		}
	}
}

package decode_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/calmh/ipfix"
	"github.com/netsampler/goflow2/v2/decoders/netflow"

	"github.com/conntally/conntally/export/decode"
)

// ours is conntally's own field order: C4 or C6 (addresses of 4 or 16 bytes), then what a template
// adds.
func ours(version, id uint16, source, destination, addressLength uint16, extra ...uint16) []byte {
	times := []uint16{152, 8, 153, 8}
	if version == 9 {
		times = []uint16{22, 4, 21, 4}
	}
	s := []uint16{
		source, addressLength, destination, addressLength, 7, 2, 11, 2, 4, 1, 6, 1, 5, 1, 61, 1, 10,
		4, 14, 4, 1, 8, 2, 8,
	}
	s = append(s, times...)
	s = append(s, 136, 1)
	return template(id, append(s, extra...)...)
}

// ourRecord is a record of it: ports and protocol differ, the rest doesn't.
func ourRecord(
	version uint16, src, dst string, srcPort, dstPort uint16, protocol uint8, extra ...[]byte,
) []byte {
	times := cat(u64(uint64(startTime().UnixMilli())), u64(uint64(endTime().UnixMilli())))
	if version == 9 {
		times = cat(u32(uptime-61_234), u32(uptime-1_111))
	}
	return cat(ip(src), ip(dst), u16(srcPort), u16(dstPort), u8(protocol), u8(0x1b), u8(0), u8(1),
		u32(2), u32(3),
		u64(5_000_000_000), u64(4_000_000), times, u8(3), cat(extra...))
}

// wanted is the flow in ourRecord.
func wanted(
	version, id uint16, src, dst string, srcPort, dstPort uint16, protocol uint8,
) decode.Flow {
	return decode.Flow{
		Exporter: exporter(), Version: version, Domain: domain, Template: id,
		Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), SrcPort: srcPort,
		DstPort:  dstPort,
		Protocol: protocol, TCPFlags: 0x1b, Direction: 1, Input: 2, Output: 3,
		Bytes: 5_000_000_000, Packets: 4_000_000, Start: startTime(), End: endTime(), EndReason: 3,
	}
}

const (
	lan4, wan4, nat4 = "192.168.1.10", "198.51.100.20", "203.0.113.5"
	lan6, wan6       = "2001:db8:1::10", "2001:db8:2::20"
)

// ourSets are conntally's templates in one message: two TCP flows, a translated one, pings and
// IPv6, and the sampling option.
func ourSets(version uint16) (sets [][]byte, flows []decode.Flow) {
	tcp := wanted(version, 256, lan4, wan4, 40000, 443, 6)
	translated := wanted(version, 257, lan4, wan4, 40001, 53, 17)
	translated.PostSrc, translated.PostDst = netip.MustParseAddr(nat4), netip.MustParseAddr(wan4)
	translated.PostSrcPort, translated.PostDstPort = 1025, 53
	ping := wanted(version, 258, lan4, wan4, 0, 0, 1)
	ping.ICMPType = 8
	tcp6 := wanted(version, 260, lan6, wan6, 40002, 22, 6)
	ping6 := wanted(version, 262, lan6, wan6, 0, 0, 58)
	ping6.ICMPType, ping6.ICMPCode = 129, 1

	icmp6, options, optionsSet := uint16(139), ipfixOptions(512, 149, 4, 34, 4), uint16(3)
	if version == 9 {
		icmp6, options, optionsSet = 32, netflow9Options(512, 1, 4, 34, 4), 1
	}
	sets = [][]byte{
		setOf(templateSetID(version),
			ours(version, 256, 8, 12, 4),
			ours(version, 257, 8, 12, 4, 225, 4, 226, 4, 227, 2, 228, 2),
			ours(version, 258, 8, 12, 4, 32, 2),
			ours(version, 260, 27, 28, 16),
			ours(version, 262, 27, 28, 16, icmp6, 2)),
		setOf(optionsSet, options, zero(2)),
		setOf(512, u32(domain), u32(1)),
		setOf(256, ourRecord(version, lan4, wan4, 40000, 443, 6),
			ourRecord(version, lan4, wan4, 40000, 443, 6), zero(2)),
		setOf(257, ourRecord(version, lan4, wan4, 40001, 53, 17, ip(nat4), ip(wan4), u16(1025),
			u16(53))),
		setOf(258, ourRecord(version, lan4, wan4, 0, 8<<8, 1, u16(8<<8))),
		setOf(260, ourRecord(version, lan6, wan6, 40002, 22, 6)),
		setOf(262, ourRecord(version, lan6, wan6, 0, 129<<8|1, 58, u16(129<<8|1))),
	}
	return sets, []decode.Flow{tcp, tcp, translated, ping, tcp6, ping6}
}

func TestOurTemplates(t *testing.T) {
	for _, version := range []uint16{9, 10} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			sets, flows := ourSets(version)
			m := decodeAll(t, message(version)(0, sets...))
			if len(m.Flows) != len(flows) {
				t.Fatalf("%d flows, want %d", len(m.Flows), len(flows))
			}
			for i, want := range flows {
				if m.Flows[i] != want {
					t.Errorf("flow %d:\n got %+v\nwant %+v", i, m.Flows[i], want)
				}
			}
			if m.Version != version || m.Domain != domain || m.ExportTime.Unix() != exported ||
				m.Exporter != exporter() {
				t.Errorf("header: %+v", m)
			}
			if m.Templates != 6 || m.OptionRecords != 1 || m.SamplingInterval != 1 {
				t.Errorf("%d templates, %d option records, sampling %d",
					m.Templates, m.OptionRecords, m.SamplingInterval)
			}
		})
	}
}

// The libraries' own reading of whole datagrams, templates included, must find the same data
// records as the guard does.
func TestLibrariesAgree(t *testing.T) {
	sets, flows := ourSets(10)
	sets[1] = setOf(3, ipfixOptions(512, 149, 4, 34, 4)) // calmh takes no padding there
	m, err := ipfix.NewSession().ParseBuffer(ipfixMessage(0, sets...))
	if err != nil || len(m.DataRecords) != len(flows) {
		t.Errorf("calmh/ipfix: %d records, %v", len(m.DataRecords), err)
	}

	sets, flows = ourSets(9)
	datagram := netflow9Message(0, sets...)
	datagram[3] = byte(len(sets)) // the header count bounds goflow2's loop
	var p netflow.NFv9Packet
	if err := netflow.DecodeMessageVersion(
		bytes.NewBuffer(datagram), netflow.CreateTemplateSystem(), &p, nil,
	); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range p.FlowSets {
		if data, ok := s.(netflow.DataFlowSet); ok {
			n += len(data.Records)
		}
	}
	if n != len(flows) {
		t.Errorf("goflow2: %d records, want %d", n, len(flows))
	}
}

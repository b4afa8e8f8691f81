package export

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow"
)

// wantValue returns the value of element id for r, independently of the fields that it tests. boot
// is the v9 exporter's boot time, ms since 1970.
func wantValue(id uint16, r *flow.Record, boot int64) []byte {
	switch id {
	case 8, 12, 225, 226, 27, 28, 281, 282:
		return wantAddress(id, r)
	case 7, 11, 32, 58, 59, 139, 227, 228:
		return be.AppendUint16(nil, wantPort(id, r))
	case 10:
		return be.AppendUint32(nil, r.Input)
	case 14:
		return be.AppendUint32(nil, r.Output)
	case 1:
		return be.AppendUint64(nil, r.Bytes)
	case 2:
		return be.AppendUint64(nil, r.Packets)
	case 21:
		return be.AppendUint32(nil, uint32(r.End/1e6-boot))
	case 22:
		return be.AppendUint32(nil, uint32(r.Start/1e6-boot))
	case 152:
		return be.AppendUint64(nil, uint64(r.Start/1e6))
	case 153:
		return be.AppendUint64(nil, uint64(r.End/1e6))
	case 323:
		return be.AppendUint64(nil, uint64(r.Start/1e6))
	case 148:
		return be.AppendUint64(nil, r.ID)
	case 56:
		return r.SrcMAC[:]
	case 57:
		return r.DstMAC[:]
	case 234:
		return be.AppendUint32(nil, uint32(r.InputZone))
	case pmacctTag:
		return be.AppendUint64(nil, uint64(r.Mark))
	case 235:
		return be.AppendUint32(nil, uint32(r.OutputZone))
	}
	return []byte{wantOctet(id, r)}
}

func wantAddress(id uint16, r *flow.Record) []byte {
	a := map[uint16]conntrack.Addr{
		8: r.Src, 27: r.Src, 12: r.Dst, 28: r.Dst, 225: r.PostSrc, 281: r.PostSrc, 226: r.PostDst,
		282: r.PostDst,
	}[id]
	return a.Netip().AsSlice()
}

func wantPort(id uint16, r *flow.Record) uint16 {
	return map[uint16]uint16{
		7: r.SrcPort, 11: r.DstPort, 58: r.InputVLAN, 59: r.OutputVLAN, 32: r.DstPort,
		139: r.DstPort, 227: r.PostSrcPort, 228: r.PostDstPort,
	}[id]
}

func wantOctet(id uint16, r *flow.Record) uint8 {
	direction := uint8(0)
	if r.Egress {
		direction = 1
	}
	opened := uint8(1) // by the source
	if r.Midstream {
		opened = 0
	}
	return map[uint16]uint8{
		4: r.Proto, 5: r.ToS, 6: r.TCPFlags, 61: direction, 136: uint8(r.EndReason),
		230: wantNATEvent(r), 239: opened,
	}[id]
}

// wantNATEvent follows the IANA registry: 4 and 5 are for NAT44, 1 and 2 for any translation.
func wantNATEvent(r *flow.Record) uint8 {
	switch {
	case r.Family == unix.AF_INET && r.NAT == flow.NATCreate:
		return 4
	case r.Family == unix.AF_INET:
		return 5
	case r.NAT == flow.NATCreate:
		return 1
	}
	return 2
}

// checkValues compares the values that a decoder found with those of a pair.
func checkValues(
	t *testing.T, decoder string, found []value, both *flow.Pair, boot int64, of *template,
) {
	t.Helper()
	fields := slices.Concat(of.fields, of.reverse)
	if len(found) != len(fields) {
		t.Errorf("%s finds %d fields, want %d", decoder, len(found), len(fields))
		return
	}
	for i, v := range found {
		r := &both[0]
		if v.reverse {
			r = &both[1]
		}
		if want := wantValue(v.id, r, boot); !bytes.Equal(v.bytes, want) ||
			v.reverse != (i >= len(of.fields)) {
			t.Errorf("%s: element %d, reverse %t, is %x, want %x",
				decoder, v.id, v.reverse, v.bytes, want)
		}
		name := fields[i].name
		if v.reverse {
			name = "reverse" + strings.ToUpper(name[:1]) + name[1:]
		}
		if v.name != "" && v.name != name {
			t.Errorf("%s calls element %d %s, we %s", decoder, v.id, v.name, name)
		}
	}
}

// virtualBoot returns the boot time that a collector computes from a v9 header, ms since 1970; 0
// for IPFIX.
func virtualBoot(t *testing.T, message []byte) int64 {
	t.Helper()
	m := walk(t, message)
	if m.protocol == IPFIX {
		return 0
	}
	return int64(m.seconds)*1000 - int64(m.uptime)
}

// wantFlow returns r as package decode must read it.
func wantFlow(p Protocol, domain uint32, r *flow.Record) decode.Flow {
	f := decode.Flow{
		Exporter: exporterAddress, Version: uint16(p), Domain: domain, Template: wantTemplate(r),
		Src: r.Src.Netip(), Dst: r.Dst.Netip(), SrcPort: r.SrcPort, DstPort: r.DstPort,
		Protocol: r.Proto, TCPFlags: r.TCPFlags, ToS: r.ToS, Direction: wantOctet(61, r),
		EndReason: uint8(r.EndReason),
		Input:     r.Input, Output: r.Output, Packets: r.Packets, Bytes: r.Bytes,
		Start: time.UnixMilli(r.Start / 1e6).UTC(), End: time.UnixMilli(r.End / 1e6).UTC(),
	}
	if r.IsICMP() {
		f.DstPort, f.ICMPType, f.ICMPCode = 0, uint8(r.DstPort>>8), uint8(r.DstPort)
	}
	if r.Translated {
		f.PostSrc, f.PostDst = r.PostSrc.Netip(), r.PostDst.Netip()
		f.PostSrcPort, f.PostDstPort = r.PostSrcPort, r.PostDstPort
	}
	return f
}

// wantTemplate follows the table of docs/fields.md.
func wantTemplate(r *flow.Record) uint16 {
	id := uint16(256)
	if r.Translated {
		id++
	}
	if r.Proto == unix.IPPROTO_ICMP || r.Proto == unix.IPPROTO_ICMPV6 {
		id += 2
	}
	if r.Family == unix.AF_INET6 {
		id += 4
	}
	return id
}

// wantFlows is wantFlow of each record.
func wantFlows(p Protocol, domain uint32, records []flow.Record) []decode.Flow {
	flows := make([]decode.Flow, len(records))
	for i := range records {
		flows[i] = wantFlow(p, domain, &records[i])
	}
	return flows
}

// sameFlows reports the first difference.
func sameFlows(t testing.TB, got, want []decode.Flow) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d flows, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("flow %d is\n     %+v\nwant %+v", i, got[i], want[i])
		}
	}
}

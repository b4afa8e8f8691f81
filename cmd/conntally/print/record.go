package print

import (
	"time"

	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow"
)

// record prints a record as a collector would show it.
func (p *Printer) record(r *flow.Record) {
	if r.NAT != 0 {
		e := natEventOf(r)
		p.natEvent(&decode.Message{}, &e)
		return
	}
	f := flowOf(r)
	if p.json == nil {
		p.flow(&f)
		return
	}
	own := newJSONFlow(&f)
	own.InterfacesBy = "routes"
	if r.Seen {
		own.InterfacesBy = "first packet"
	}
	_ = p.json.Encode(own) // see New
}

func flowOf(r *flow.Record) decode.Flow {
	f := decode.Flow{
		Protocol: r.Proto,
		Src:      r.Src.Netip(), SrcPort: r.SrcPort, Dst: r.Dst.Netip(), DstPort: r.DstPort,
		TCPFlags: r.TCPFlags, ToS: r.ToS, Input: r.Input, Output: r.Output,
		Packets: r.Packets, Bytes: r.Bytes,
		Start: milliseconds(r.Start), End: milliseconds(r.End), EndReason: uint8(r.EndReason),
		FlowID: r.ID, VLAN: r.InputVLAN, PostVLAN: r.OutputVLAN, SrcMAC: r.SrcMAC, DstMAC: r.DstMAC,
		InputZone: uint32(r.InputZone), OutputZone: uint32(r.OutputZone),
		Mark: uint64(r.Mark),
	}
	if r.Egress {
		f.Direction = 1
	}
	if r.IsICMP() {
		f.DstPort, f.ICMPType, f.ICMPCode = 0, uint8(r.DstPort>>8), uint8(r.DstPort)
	}
	if r.Translated {
		f.PostSrc, f.PostSrcPort = r.PostSrc.Netip(), r.PostSrcPort
		f.PostDst, f.PostDstPort = r.PostDst.Netip(), r.PostDstPort
	}
	return f
}

func natEventOf(r *flow.Record) decode.NATEvent {
	event := uint8(r.NAT) // NAT44 has numbers of its own (RFC 8158, section 4.3)
	if !r.IsIPv6() {
		event += 3
	}
	return decode.NATEvent{
		Observed: milliseconds(r.Start), Event: event, Protocol: r.Proto,
		Src: r.Src.Netip(), SrcPort: r.SrcPort, Dst: r.Dst.Netip(), DstPort: r.DstPort,
		PostSrc: r.PostSrc.Netip(), PostSrcPort: r.PostSrcPort,
		PostDst: r.PostDst.Netip(), PostDstPort: r.PostDstPort,
	}
}

// milliseconds returns the time of ns since 1970 with the precision of IPFIX.
func milliseconds(ns int64) time.Time { return time.UnixMilli(ns / int64(time.Millisecond)).UTC() }

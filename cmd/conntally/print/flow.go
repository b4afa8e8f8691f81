package print

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/conntally/conntally/cmd/internal/text"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow"
)

// line is the format of the columns of a flow.
const line = "%-12s  %-7s  %-22s  %-22s  %-22s  %8s  %10s  %9s  %s\n"

// Header returns the names of the columns.
func Header() []any {
	return []any{"START", "PROTO", "FROM", "TO", "NAT", "PACKETS", "BYTES", "DURATION", "END"}
}

// Columns returns a flow's values for the columns of Header.
func Columns(f *decode.Flow) []any {
	return []any{
		timeOfDay(f.Start), protocolColumn(f),
		endpoint(f.Src, f.SrcPort), endpoint(f.Dst, f.DstPort), translation(f),
		strconv.FormatUint(f.Packets, 10), strconv.FormatUint(f.Bytes, 10),
		duration(f), endReason(f.EndReason),
	}
}

// timeOfDay formats a time; "-" if it is zero.
func timeOfDay(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("15:04:05.000")
}

// clock formats a time in seconds; "-" if it is zero.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.TimeOnly)
}

// span formats a flow's duration for people; "-" if it isn't known.
func span(f *decode.Flow) string {
	if f.Start.IsZero() || f.End.IsZero() {
		return "-"
	}
	return text.Duration(f.End.Sub(f.Start))
}

func duration(f *decode.Flow) string {
	if f.Start.IsZero() || f.End.IsZero() {
		return "-"
	}
	return seconds(f.End.Sub(f.Start))
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) + "s" }

// protocolColumn returns the protocol's name, and of ICMP the type and code.
func protocolColumn(f *decode.Flow) string {
	name := Protocol(f.Protocol)
	if f.Protocol == conntrack.ProtoICMP || f.Protocol == conntrack.ProtoICMPv6 {
		return fmt.Sprintf("%s %d/%d", name, f.ICMPType, f.ICMPCode)
	}
	return name
}

// Protocol returns the name of an IP protocol, or its number.
func Protocol(n uint8) string {
	switch n {
	case conntrack.ProtoICMP:
		return "icmp"
	case conntrack.ProtoICMPv6:
		return "icmp6"
	case conntrack.ProtoTCP:
		return "tcp"
	case conntrack.ProtoUDP:
		return "udp"
	case conntrack.ProtoUDPLite:
		return "udplite"
	case conntrack.ProtoSCTP:
		return "sctp"
	case conntrack.ProtoDCCP:
		return "dccp"
	case conntrack.ProtoGRE:
		return "gre"
	}
	return strconv.Itoa(int(n))
}

func endpoint(a netip.Addr, port uint16) string {
	if !a.IsValid() {
		return "-"
	}
	if port == 0 {
		return a.String()
	}
	return netip.AddrPortFrom(a, port).String()
}

// translation returns what NAT changes the source (as) or the destination (to) into.
func translation(f *decode.Flow) string {
	switch {
	case f.PostSrc.IsValid() && (f.PostSrc != f.Src || f.PostSrcPort != f.SrcPort):
		return "as " + endpoint(f.PostSrc, f.PostSrcPort)
	case f.PostDst.IsValid() && (f.PostDst != f.Dst || f.PostDstPort != f.DstPort):
		return "to " + endpoint(f.PostDst, f.PostDstPort)
	}
	return ""
}

func endReason(n uint8) string {
	switch flow.EndReason(n) {
	case flow.EndIdle:
		return "idle"
	case flow.EndActive:
		return "active"
	case flow.EndDetected:
		return "end"
	case flow.EndForced:
		return "forced"
	case flow.EndResources:
		return "resources"
	}
	return strconv.Itoa(int(n))
}

// jsonFlow is a flow as `listen --json` prints it. Times are in UTC, RFC 3339; a zero time
// is left out.
type jsonFlow struct {
	Exporter    netip.AddrPort `json:"exporter"`
	Version     uint16         `json:"version"`
	Template    uint16         `json:"template"`
	Protocol    uint8          `json:"protocol"`
	Src         netip.Addr     `json:"src"`
	SrcPort     uint16         `json:"src_port"`
	Dst         netip.Addr     `json:"dst"`
	DstPort     uint16         `json:"dst_port"`
	PostSrc     *netip.Addr    `json:"post_nat_src,omitempty"`
	PostSrcPort uint16         `json:"post_nat_src_port,omitempty"`
	PostDst     *netip.Addr    `json:"post_nat_dst,omitempty"`
	PostDstPort uint16         `json:"post_nat_dst_port,omitempty"`
	ICMPType    uint8          `json:"icmp_type"`
	ICMPCode    uint8          `json:"icmp_code"`
	TCPFlags    uint8          `json:"tcp_flags"`
	ToS         uint8          `json:"tos,omitempty"`
	Input       uint32         `json:"input"`
	Output      uint32         `json:"output"`
	// What Input and Output are by, of conntally's own records: "first packet" or "routes".
	InterfacesBy string    `json:"interfaces_by,omitempty"`
	Direction    uint8     `json:"direction"`
	Packets      uint64    `json:"packets"`
	Bytes        uint64    `json:"bytes"`
	Start        time.Time `json:"start,omitzero"`
	End          time.Time `json:"end,omitzero"`
	EndReason    uint8     `json:"end_reason"`
	FlowID       uint64    `json:"flow_id,omitempty"`
	VLAN         uint16    `json:"vlan,omitempty"`
	PostVLAN     uint16    `json:"post_vlan,omitempty"`
	SrcMAC       string    `json:"src_mac,omitempty"`
	DstMAC       string    `json:"dst_mac,omitempty"`
	InputZone    uint32    `json:"input_zone,omitempty"`
	OutputZone   uint32    `json:"output_zone,omitempty"`
	Mark         uint64    `json:"mark,omitempty"`
	// Biflow is biflowDirection: 1 if the source opened the connection, 2 if the destination
	// did.
	Biflow uint8 `json:"biflow_direction,omitempty"`
}

func newJSONFlow(f *decode.Flow) jsonFlow {
	return jsonFlow{
		Exporter: f.Exporter, Version: f.Version, Template: f.Template,
		Protocol: f.Protocol, Src: f.Src, SrcPort: f.SrcPort, Dst: f.Dst, DstPort: f.DstPort,
		PostSrc: present(f.PostSrc), PostSrcPort: f.PostSrcPort,
		PostDst: present(f.PostDst), PostDstPort: f.PostDstPort,
		ICMPType: f.ICMPType, ICMPCode: f.ICMPCode, TCPFlags: f.TCPFlags, ToS: f.ToS,
		Input: f.Input, Output: f.Output, Direction: f.Direction,
		Packets: f.Packets, Bytes: f.Bytes, Start: f.Start, End: f.End, EndReason: f.EndReason,
		FlowID: f.FlowID, VLAN: f.VLAN, PostVLAN: f.PostVLAN,
		SrcMAC: macText(f.SrcMAC), DstMAC: macText(f.DstMAC),
		InputZone: f.InputZone, OutputZone: f.OutputZone, Mark: f.Mark, Biflow: f.BiflowDirection,
	}
}

// present returns a pointer to a, or nil if a is not valid.
func present(a netip.Addr) *netip.Addr {
	if !a.IsValid() {
		return nil
	}
	return &a
}

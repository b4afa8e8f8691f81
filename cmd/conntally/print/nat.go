package print

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/conntally/conntally/export/decode"
)

// natColumns returns a NAT event's values for the columns of Header.
func natColumns(e *decode.NATEvent) []any {
	shown := decode.Flow{
		Src: e.Src, SrcPort: e.SrcPort, Dst: e.Dst, DstPort: e.DstPort,
		PostSrc: e.PostSrc, PostSrcPort: e.PostSrcPort,
		PostDst: e.PostDst, PostDstPort: e.PostDstPort,
	}
	return []any{
		timeOfDay(e.Observed), Protocol(e.Protocol),
		endpoint(e.Src, e.SrcPort), endpoint(e.Dst, e.DstPort), translation(&shown),
		"", "", "", natEvent(e.Event),
	}
}

// natEvent returns the name of a natEvent that conntally exports, or its number.
func natEvent(n uint8) string {
	switch n {
	case 1, 4:
		return "NAT begins"
	case 2, 5:
		return "NAT ends"
	}
	return "NAT event " + strconv.Itoa(int(n))
}

// jsonNATEvent is a NAT event as `listen --json` prints it.
type jsonNATEvent struct {
	Exporter    netip.AddrPort `json:"exporter"`
	NATEvent    uint8          `json:"nat_event"`
	Observed    time.Time      `json:"observed,omitzero"`
	Protocol    uint8          `json:"protocol"`
	Src         netip.Addr     `json:"src"`
	SrcPort     uint16         `json:"src_port"`
	Dst         netip.Addr     `json:"dst"`
	DstPort     uint16         `json:"dst_port"`
	PostSrc     netip.Addr     `json:"post_nat_src"`
	PostSrcPort uint16         `json:"post_nat_src_port"`
	PostDst     netip.Addr     `json:"post_nat_dst"`
	PostDstPort uint16         `json:"post_nat_dst_port"`
}

func newJSONNATEvent(exporter netip.AddrPort, e *decode.NATEvent) jsonNATEvent {
	return jsonNATEvent{
		Exporter: exporter, NATEvent: e.Event, Observed: e.Observed, Protocol: e.Protocol,
		Src: e.Src, SrcPort: e.SrcPort, Dst: e.Dst, DstPort: e.DstPort,
		PostSrc: e.PostSrc, PostSrcPort: e.PostSrcPort, PostDst: e.PostDst,
		PostDstPort: e.PostDstPort,
	}
}

// macText formats a MAC address; "" if it is zero.
func macText(mac [6]byte) string {
	if mac == [6]byte{} {
		return ""
	}
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		mac[5])
}

package print

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/export/decode"
)

// TestFlowsAndNATEventsShareColumns: and each is an object as JSON.
func TestFlowsAndNATEventsShareColumns(t *testing.T) {
	observed := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	client, server := netip.MustParseAddr("192.168.77.10"), netip.MustParseAddr("198.51.100.20")
	m := decode.Message{
		Exporter: netip.MustParseAddrPort("192.0.2.1:40000"),
		Flows: []decode.Flow{{
			Src: client, SrcPort: 1024, Dst: server, DstPort: 443, Protocol: 6, Packets: 7,
			Bytes: 800,
			Start: observed, End: observed, EndReason: 3, FlowID: 99, VLAN: 30,
			SrcMAC: [6]byte{2, 0, 0, 0, 0, 1},
		}},
		NATEvents: []decode.NATEvent{{
			Observed: observed, Event: 4, Protocol: 6, Src: client, SrcPort: 1024, Dst: server,
			DstPort: 443,
			PostSrc: netip.MustParseAddr("198.51.100.1"), PostSrcPort: 60000, PostDst: server,
			PostDstPort: 443,
		}},
	}
	cases := []struct {
		json bool
		want [][]string // parts of each line
	}{
		{false, [][]string{
			{"START", "NAT", "END"},
			{"192.168.77.10:1024", "198.51.100.20:443", "800", "0.000s", "end"},
			{"192.168.77.10:1024", "198.51.100.20:443", "as 198.51.100.1:60000", "NAT begins"},
		}},
		{true, [][]string{
			{`"flow_id":99`, `"vlan":30`, `"src_mac":"02:00:00:00:00:01"`, `"bytes":800`},
			{`"exporter":"192.0.2.1:40000"`, `"nat_event":4`,
				`"observed":"2026-01-02T03:04:05.678Z"`, `"post_nat_src_port":60000`},
		}},
	}
	for _, c := range cases {
		var out bytes.Buffer
		New(&out, c.json).Message(&m)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != len(c.want) {
			t.Fatalf("%d lines:\n%s", len(lines), &out)
		}
		for i, parts := range c.want {
			for _, part := range parts {
				if !strings.Contains(lines[i], part) {
					t.Errorf("%q is not in %q", part, lines[i])
				}
			}
		}
	}
}

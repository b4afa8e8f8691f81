package print

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/internal/text"
	"github.com/conntally/conntally/export/decode"
)

// terminal returns what a message looks like on a terminal that gets these widths, each
// before another round.
func terminal(m *decode.Message, widths ...int) string {
	var out bytes.Buffer
	names := map[uint32]string{1: "lan0", 2: "wan0", 3: "\x1b[2Jevil"}
	round := 0
	p := newPrinter(&out, Options{
		Columns:   func() int { return widths[round] },
		Interface: func(index uint32) string { return names[index] },
	})
	for round = range widths {
		p.Message(m)
	}
	return out.String()
}

func terminalMessage() *decode.Message {
	start := time.Date(2026, 11, 29, 12, 0, 0, 5e8, time.Local)
	client, server := netip.MustParseAddr("192.168.77.10"), netip.MustParseAddr("198.51.100.20")
	router := netip.MustParseAddr("198.51.100.1")
	return &decode.Message{
		Flows: []decode.Flow{
			{
				Src: client, SrcPort: 49152, Dst: server, DstPort: 443, Protocol: 6,
				PostSrc: router, PostSrcPort: 60000, PostDst: server, PostDstPort: 443,
				Bytes: 1_234_567_890, Start: start, End: start.Add(65 * time.Second),
				EndReason: 2, Input: 1, Output: 2,
			},
			{
				Src: netip.MustParseAddr("2001:db8:1:2:3:4:5:6"), SrcPort: 50000,
				Dst: netip.MustParseAddr("2001:db8:a:b:c:d:e:f"), DstPort: 53, Protocol: 17,
				Bytes: 80, Start: start, End: start, EndReason: 1, Input: 3, Output: 9,
			},
			{Src: client, Dst: server, Protocol: 1, ICMPType: 8, Bytes: 84},
		},
		NATEvents: []decode.NATEvent{{
			Observed: start, Event: 4, Protocol: 6,
			Src: client, SrcPort: 1024, Dst: server, DstPort: 443,
			PostSrc: router, PostSrcPort: 60000, PostDst: server, PostDstPort: 443,
		}},
	}
}

// TestTerminalForm: lines fit, wherever they are printed, and a wider terminal shows more.
func TestTerminalForm(t *testing.T) {
	for columns, want := range map[int]string{
		60: `
START     PROTO  FROM             TO                   BYTES
12:00:00  tcp    192.168…0:49152  198.51.1….20:443    1.2 GB
12:00:00  udp    [2001:d…]:50000  [2001:db…e:f]:53      80 B
-         icmp   192.168.77.10    198.51.100.20         84 B
12:00:00  tcp    192.168…10:1024  as 198.5…1:60000
`,
		80: `
START     PROTO  FROM                 TO                      BYTES  INTERFACES
12:00:00  tcp    192.168.77.10:49152  198.51.100.20:443      1.2 GB  lan0 > wan0
12:00:00  udp    [2001:db8…:6]:50000  [2001:db8…d:e:f]:53      80 B  �[2Jevil >…
-         icmp   192.168.77.10        198.51.100.20            84 B  -
12:00:00  tcp    192.168.77.10:1024   as 198.51…0.1:60000            NAT begins
`,
		132: `
START     PROTO  FROM                   TO                        BYTES  INTERFACES         TIME  END        NAT
12:00:00  tcp    192.168.77.10:49152    198.51.100.20:443        1.2 GB  lan0 > wan0       1m05s  active     as 198.51.100.1:60000
12:00:00  udp    [2001:db8:…5:6]:50000  [2001:db8:…:d:e:f]:53      80 B  �[2Jevil > 9         0s  idle
-         icmp   192.168.77.10          198.51.100.20              84 B  -                     -  0
12:00:00  tcp    192.168.77.10:1024     as 198.51.100.1:60000            NAT begins
`,
	} {
		got := terminal(terminalMessage(), columns)
		if "\n"+got != want {
			t.Errorf("%d columns:\n%s\nwant%s", columns, got, want)
		}
		for line := range strings.Lines(got) {
			line = strings.TrimSuffix(line, "\n")
			if text.Width(line) > columns || line != text.Clean(line) {
				t.Errorf("%d columns: %q", columns, line)
			}
		}
	}
}

// TestHeadOfTerminalForm: once, and after each change of the terminal's size.
func TestHeadOfTerminalForm(t *testing.T) {
	got := terminal(terminalMessage(), 80, 80, 100, 100, 80)
	if n := strings.Count(got, "START"); n != 3 {
		t.Errorf("%d heads:\n%s", n, got)
	}
}

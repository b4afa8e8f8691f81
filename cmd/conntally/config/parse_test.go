package config

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/conntally/conntally/cmd/internal/logging"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/filter"
)

func TestValues(t *testing.T) {
	c := mustParse(t, `
metrics.listen = ":9469"
log = { level = "warn", format = "json" }
collector = [{ address = "[2001:db8::1]:2055", protocol = "netflow9", vrf = "blue" },
  { address = 'flows.example.org:4739', source = "::ffff:192.0.2.1", max_datagram = 9_000,
    interface = "wg0", template_interval = "5m" }]

["flow"] # quoted keys are the same keys
"active_timeout" = "1m30s"
extra_fields = [
  "vlan",     # lists may go over several lines
  "flow_id",
]
nat = """wire"""
max_flows = 0x1_0000

[conntrack]
poll_interval = "2500ms"
max_cpu = 5
receive_buffer = "4096"
reliable = true
`)
	want := Default()
	want.Collectors = []Collector{NewCollector("[2001:db8::1]:2055"),
		NewCollector("flows.example.org:4739")}
	want.Collectors[0].Protocol = Protocol{netflow9: true}
	want.Collectors[1].Source = Source{netip.MustParseAddr("192.0.2.1")}
	want.Collectors[1].MaxDatagram = 9000
	want.Collectors[0].VRF, want.Collectors[1].Interface = "blue", "wg0"
	want.Collectors[1].TemplateInterval = RepeatInterval(5 * time.Minute)
	want.Flow.ActiveTimeout = Duration(90 * time.Second)
	want.Flow.ExtraFields = []ExtraField{ExtraVLAN, ExtraFlowID}
	want.Flow.NAT = View{flow.Wire}
	want.Flow.MaxFlows = 65536
	want.Conntrack = Conntrack{PollInterval: Interval(2500 * time.Millisecond), MaxCPU: 5,
		ReceiveBuffer: 4096, Reliable: true}
	want.Metrics.Listen = ":9469"
	want.Log = Log{Level: Level{Level: zapcore.WarnLevel}, Format: logging.FormatJSON}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got\n%+v, want\n%+v", c, want)
	}
	if c.Collectors[0].Protocol.Value() != export.NetFlow9 ||
		c.Collectors[1].Protocol.Value() != export.IPFIX {
		t.Error("the protocols are wrong")
	}
}

func TestRules(t *testing.T) {
	c := mustParse(t, `
[[filter]]
action = "include"
networks = ["192.0.2.0/24", "2001:db8::1"]
source_networks = ["192.0.2.7"]
destination_networks = ["::/0"]
protocols = ["icmpv6", 6, "17"]
ports = [53, "1000-2000"]
destination_ports = ["0-65535"]
zones = [0, 65535]
marks = [5, 0x10, "0x20", "0x30/0xf0"]
interfaces = ["wan0", "br-lan.5"]
[[filter]]
action = "exclude"
`)
	prefixes := func(list ...string) (out []netip.Prefix) {
		for _, s := range list {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	want := filter.Rule{
		Include:          true,
		Networks:         prefixes("192.0.2.0/24", "2001:db8::1/128"),
		Sources:          prefixes("192.0.2.7/32"),
		Destinations:     prefixes("::/0"),
		Protocols:        []uint8{58, 6, 17},
		Ports:            []filter.Ports{{First: 53, Last: 53}, {First: 1000, Last: 2000}},
		DestinationPorts: []filter.Ports{{First: 0, Last: 65535}},
		Zones:            []uint16{0, 65535},
		Marks: []filter.Mark{{Value: 5, Mask: 1<<32 - 1}, {Value: 16, Mask: 1<<32 - 1},
			{Value: 32, Mask: 1<<32 - 1}, {Value: 0x30, Mask: 0xf0}},
		Interfaces: []string{"wan0", "br-lan.5"},
	}
	rules := c.Rules()
	if len(rules) != 2 || !reflect.DeepEqual(rules[0], want) {
		t.Errorf("got\n%+v, want\n%+v", rules, want)
	}
	if len(rules) == 2 && (rules[1].Include || len(rules[1].Networks) > 0) {
		t.Errorf("the last rule: %+v", rules[1])
	}
}

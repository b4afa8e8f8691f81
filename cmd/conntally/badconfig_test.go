package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/internal/command"
)

// allTables are those of a configuration, as its errors list them.
const allTables = "[[collector]], [flow], [conntrack], [[filter]], [devices], [[device]], " +
	"[metrics], [control], [log]"

// badFiles are files and their errors, in which FILE stands for the name.
var badFiles = []struct{ text, want string }{
	// No TOML.
	{"[flow", "FILE:1: [flow: expected '.' or ']' to end table name, but got '\\x00' instead"},
	{"[flow]\nnat", "FILE:2: nat: unexpected EOF; expected key separator '='"},
	{"[flow]\nnat = ", "FILE:2: nat =: unexpected EOF; expected value"},
	{"[flow]\nnat = wire", "FILE:2: nat = wire: expected value but found \"wire\" instead"},
	{"[flow]\n\nmax_flows = 010",
		"FILE:3: max_flows = 010: Invalid integer \"010\": cannot have leading zeroes"},
	{"[flow]\nnat = \"wire\" biflow = true",
		"FILE:2: nat = \"wire\" biflow = true: expected a top-level item to end with a newline, " +
			"comment, or EOF, but got 'b' instead"},
	{"\x00",
		"FILE:1: ?: files cannot contain NULL bytes; probably using UTF-16; TOML files must be " +
			"UTF-8"},
	{"[log]\nlevel = \"\xff\"", "FILE:2: level = \"\ufffd\": invalid UTF-8 byte: 0xff"},
	{"[log]\nlevel = \"info", "FILE:2: level = \"info: unexpected EOF; expected '\"'"},

	// No such table or key.
	{"[flows]\nnat = \"wire\"",
		"FILE:1: [flows]: unknown key; did you mean [flow]? want one of " + allTables},
	{"[collector]\naddress = \"192.0.2.1:2055\"", "FILE:1: [collector]: want tables [[collector]]"},
	{"[[flow]]", "FILE:1: [[flow]]: want a table [flow]"},
	{"[flow.timeouts]",
		"FILE:1: [flow] timeouts: unknown key; want one of active_timeout, idle_timeout, nat, " +
			"max_flows, state_directory, route_mark, biflow, nat_events, extra_fields"},
	{"active_timeout = \"60s\"",
		"FILE:1: active_timeout = \"60s\": unknown key; did you mean [flow] active_timeout? want " +
			"one of " + allTables},
	{"[[collector]]\naddress = \"192.0.2.1:2055\"\n[[collector]]\nhost = \"192.0.2.1\"",
		"FILE:4: [[collector]] #2 host = \"192.0.2.1\": unknown key; want one of address, " +
			"protocol, source, interface, vrf, max_datagram, template_interval"},
	{"[metrics]\nListen = \"\"",
		"FILE:2: [metrics] Listen = \"\": unknown key; did you mean listen? want one of listen, " +
			"pprof, devices, labels"},
	{"[log]\nlevel.console = \"info\"", "FILE: [log] level: want a single value"},
	{"log = { colour = true }",
		"FILE:1: [log] colour = true: unknown key; want one of level, format"},

	// Twice.
	{"[log]\nlevel = \"info\"\nlevel = \"warn\"",
		"FILE:3: level = \"warn\": Key 'log.level' has already been defined."},
	{"[log]\n[flow]\n[log]\nlevel = \"info\"",
		"FILE:3: [log]: Key 'log' has already been defined."},
	{"log.level = \"info\"\n[log]\nlevel = \"info\"",
		"FILE:3: level = \"info\": Key 'log.level' has already been defined."},
	{"collector = [{ address = \"192.0.2.1:2055\" }]\n[[collector]]",
		"FILE:2: [[collector]]: Key 'collector' was already created and cannot be used as an " +
			"array."},
	{"[[collector]]\naddress = \"192.0.2.1:2055\"\n\n[[collector]]\naddress = \"192.0.2.1:2055\"",
		"FILE:5: [[collector]] #2 address = \"192.0.2.1:2055\": named twice with this protocol, " +
			"see #1"},

	// Tables and lists.
	{"flow = 1", "FILE:1: flow = 1: want a table [flow]"},
	{"collector = { address = \"192.0.2.1:2055\" }",
		"FILE:1: [collector]: want tables [[collector]]"},
	{"collector = [1]", "FILE:1: collector #1 = 1: want a table [[collector]]"},
	{"[log]\nlevel = []", "FILE:2: [log] level = []: want a single value"},
	{"[flow]\nextra_fields = \"vlan\"",
		"FILE:2: [flow] extra_fields = \"vlan\": want a list, such as [...]"},
	{"[flow]\nextra_fields = [\"vlan\",\n\"max\"]",
		"FILE:2: [flow] extra_fields #2 = \"max\": want \"flow_id\", \"vlan\", \"mac\", \"zone\", " +
			"\"mark\" or \"source_mac\""},

	// Collectors.
	{"\n[[collector]]\nprotocol = \"ipfix\"",
		"FILE:2: [[collector]] #1 address: is missing: want HOST:PORT"},
	{"[[collector]]\naddress = 2055",
		"FILE:2: [[collector]] #1 address = 2055: want HOST:PORT, an IPv6 address in brackets"},
	{"[[collector]]\naddress = \"192.0.2.1\"",
		"FILE:2: [[collector]] #1 address = \"192.0.2.1\": want HOST:PORT, an IPv6 address in " +
			"brackets"},
	{"[[collector]]\naddress = \"2001:db8::1:2055\"",
		"FILE:2: [[collector]] #1 address = \"2001:db8::1:2055\": want HOST:PORT, an IPv6 " +
			"address in brackets"},
	{"[[collector]]\naddress = \":2055\"",
		"FILE:2: [[collector]] #1 address = \":2055\": the host is missing: want HOST:PORT"},
	{"[[collector]]\naddress = \"a b:2055\"",
		"FILE:2: [[collector]] #1 address = \"a b:2055\": want HOST:PORT with a host's name or " +
			"address"},
	{"[[collector]]\naddress = \"192.0.2.1:netflow\"",
		"FILE:2: [[collector]] #1 address = \"192.0.2.1:netflow\": want HOST:PORT with a port " +
			"from 1 to 65535"},
	{"[[collector]]\naddress = \"192.0.2.1:0\"",
		"FILE:2: [[collector]] #1 address = \"192.0.2.1:0\": want HOST:PORT with a port from 1 " +
			"to 65535"},
	{"[[collector]]\naddress = \"192.0.2.1:65536\"",
		"FILE:2: [[collector]] #1 address = \"192.0.2.1:65536\": want HOST:PORT with a port from " +
			"1 to 65535"},
	{"[[collector]]\naddress = \"192.0.2.1:1\"\nprotocol = \"sflow\"\n[[collector]]\n" +
		"address = \"192.0.2.1:2\"\nprotocol = \"ipfix\"",
		"FILE: [[collector]] #1 protocol = \"sflow\": want \"ipfix\" or \"netflow9\""},
	{"[[collector]]\naddress = \"192.0.2.1:1\"\nsource = \"eth0\"",
		"FILE:3: [[collector]] #1 source = \"eth0\": want an address of this host, such as " +
			"\"192.0.2.1\", or \"\""},
	{"[[collector]]\naddress = \"192.0.2.1:1\"\nsource = \"0.0.0.0\"",
		"FILE:3: [[collector]] #1 source = \"0.0.0.0\": want an address of this host, such as " +
			"\"192.0.2.1\", or \"\""},
	{"[[collector]]\naddress = \"192.0.2.1:1\"\nmax_datagram = 100",
		"FILE:3: [[collector]] #1 max_datagram = 100: want a whole number from 512 to 65507"},
	{"[[collector]]\naddress = \"192.0.2.1:1\"\nmax_datagram = \"1400\"",
		"FILE:3: [[collector]] #1 max_datagram = \"1400\": want a whole number from 512 to 65507"},
	{"[[collector]]\naddress = \"192.0.2.1:1\"\ninterface = \"wan/0\"",
		"FILE:3: [[collector]] #1 interface = \"wan/0\": want an interface's name, such as " +
			"\"wan0\", or \"\""},
	{"[[collector]]\naddress = \"192.0.2.1:1\"\nvrf = \"blue\"\nvrf_table = 10",
		"FILE:4: [[collector]] #1 vrf_table = 10: unknown key; want one of address, protocol, " +
			"source, interface, vrf, max_datagram, template_interval"},
	{"[[collector]]\naddress = \"192.0.2.1:1\"\nvrf = \"a name of sixteen\"",
		"FILE:3: [[collector]] #1 vrf = \"a name of sixteen\": want an interface's name, such as " +
			"\"wan0\", or \"\""},
	{"[[collector]]\naddress = \"192.0.2.1:1\"\nvrf = \"blue\"\ninterface = \"wan0\"",
		"FILE:3: [[collector]] #1 vrf = \"blue\": want one of interface and vrf"},
	{"[[collector]]\naddress = \"192.0.2.1:1\"\ntemplate_interval = \"999ms\"",
		"FILE:3: [[collector]] #1 template_interval = \"999ms\": want a duration from 1s to 24h, " +
			"such as \"60s\" or \"5m\""},
	{"[[collector]]\naddress = \"192.0.2.1:1\"\ntemplate_interval = \"25h\"",
		"FILE:3: [[collector]] #1 template_interval = \"25h\": want a duration from 1s to 24h, " +
			"such as \"60s\" or \"5m\""},

	// Flow.
	{"[flow]\nactive_timeout = 60",
		"FILE:2: [flow] active_timeout = 60: want a duration from 1ms to 24h, such as \"60s\" or " +
			"\"5m\""},
	{"[flow]\nidle_timeout = \"2d\"",
		"FILE:2: [flow] idle_timeout = \"2d\": want a duration from 1ms to 24h, such as \"60s\" " +
			"or \"5m\""},
	{"[flow]\nidle_timeout = \"-15s\"",
		"FILE:2: [flow] idle_timeout = \"-15s\": want a duration from 1ms to 24h, such as " +
			"\"60s\" or \"5m\""},
	{"[flow]\nidle_timeout = \"25h\"",
		"FILE:2: [flow] idle_timeout = \"25h\": want a duration from 1ms to 24h, such as \"60s\" " +
			"or \"5m\""},
	{"[flow]\nnat = \"some\"", "FILE:2: [flow] nat = \"some\": want \"endpoints\" or \"wire\""},
	{"[flow]\nmax_flows = -1",
		"FILE:2: [flow] max_flows = -1: want a whole number from 0 to 2000000000"},
	{"[flow]\nmax_flows = 1.5",
		"FILE:2: [flow] max_flows = 1.5: want a whole number from 0 to 2000000000"},
	{"[flow]\nmax_flows = 99999999999999999999",
		"FILE:2: max_flows = 99999999999999999999: 99999999999999999999 is out of range for int64"},
	{"[flow]\nstate_directory = false",
		"FILE:2: [flow] state_directory = false: want text in quotes"},
	{"[flow]\nbiflow = \"yes\"", "FILE:2: [flow] biflow = \"yes\": want true or false"},
	{"[flow]\nroute_mark = 1", "FILE:2: [flow] route_mark = 1: want true or false"},

	// Conntrack.
	{"[conntrack]\npoll_interval = \"1ms\"",
		"FILE:2: [conntrack] poll_interval = \"1ms\": want \"auto\" or a duration from 100ms to " +
			"24h, such as \"10s\""},
	{"[conntrack]\nmax_cpu = 0", "FILE:2: [conntrack] max_cpu = 0: want a number from 0.01 to 100"},
	{"[conntrack]\nmax_cpu = nan",
		"FILE:2: [conntrack] max_cpu = nan: want a number from 0.01 to 100"},
	{"[conntrack]\nmax_cpu = +inf",
		"FILE:2: [conntrack] max_cpu = inf: want a number from 0.01 to 100"},
	{"[conntrack]\nmax_cpu = \"1%\"",
		"FILE:2: [conntrack] max_cpu = \"1%\": want a number from 0.01 to 100"},
	{"[conntrack]\nreceive_buffer = \"16MB\"",
		"FILE:2: [conntrack] receive_buffer = \"16MB\": want a size up to \"1024MiB\", such as " +
			"\"512KiB\" or \"16MiB\""},
	{"[conntrack]\nreceive_buffer = \"9999999KiB\"",
		"FILE:2: [conntrack] receive_buffer = \"9999999KiB\": want a size up to \"1024MiB\", " +
			"such as \"512KiB\" or \"16MiB\""},
	{"[conntrack]\nreliable = 1979-05-27",
		"FILE:2: [conntrack] reliable = 1979-05-27: want true or false"},

	// Filters.
	{"[[filter]]\nzones = [1]",
		"FILE:1: [[filter]] #1 action: is missing: want \"include\" or \"exclude\""},
	{"[[filter]]\naction = \"drop\"",
		"FILE:2: [[filter]] #1 action = \"drop\": want \"include\" or \"exclude\""},
	{"[[filter]]\naction = \"include\"\n[[filter]]\naction = \"exclude\"\nnetworks = []",
		"FILE:5: [[filter]] #2 networks = []: nothing would ever match: want at least one, or no " +
			"such key"},
	{"[[filter]]\naction = \"include\"\nnetworks = [\"192.0.2.0/33\"]",
		"FILE:3: [[filter]] #1 networks #1 = \"192.0.2.0/33\": want a network, such as " +
			"\"192.0.2.0/24\" or \"2001:db8::/32\""},
	{"[[filter]]\naction = \"include\"\nsource_networks = [\"192.0.2.1/24\"]",
		"FILE:3: [[filter]] #1 source_networks #1 = \"192.0.2.1/24\": want a network: did you " +
			"mean 192.0.2.0/24?"},
	{"[[filter]]\naction = \"include\"\ndestination_networks = [\"::ffff:192.0.2.0/120\"]",
		"FILE:3: [[filter]] #1 destination_networks #1 = \"::ffff:192.0.2.0/120\": want a " +
			"network, such as \"192.0.2.0/24\" or \"2001:db8::/32\""},
	{"[[filter]]\naction = \"include\"\nprotocols = [\"quic\"]",
		"FILE:3: [[filter]] #1 protocols #1 = \"quic\": want a number from 0 to 255, or " +
			"\"icmp\", \"icmpv6\", \"tcp\", \"udp\", \"udplite\", \"sctp\", \"dccp\", \"gre\", " +
			"\"esp\" or \"ah\""},
	{"[[filter]]\naction = \"include\"\nprotocols = [256]",
		"FILE:3: [[filter]] #1 protocols #1 = 256: want a number from 0 to 255, or \"icmp\", " +
			"\"icmpv6\", \"tcp\", \"udp\", \"udplite\", \"sctp\", \"dccp\", \"gre\", \"esp\" or " +
			"\"ah\""},
	{"[[filter]]\naction = \"include\"\nports = [\"2000-1000\"]",
		"FILE:3: [[filter]] #1 ports #1 = \"2000-1000\": want a port from 0 to 65535, or a range " +
			"such as \"1000-2000\""},
	{"[[filter]]\naction = \"include\"\ndestination_ports = [70000]",
		"FILE:3: [[filter]] #1 destination_ports #1 = 70000: want a port from 0 to 65535, or a " +
			"range such as \"1000-2000\""},
	{"[[filter]]\naction = \"include\"\nports = 53",
		"FILE:3: [[filter]] #1 ports = 53: want a list, such as [...]"},
	{"[[filter]]\naction = \"include\"\nzones = [65536]",
		"FILE:3: [[filter]] #1 zones #1 = 65536: want a whole number from 0 to 65535"},
	{"[[filter]]\naction = \"include\"\nzones = [\"1\"]",
		"FILE:3: [[filter]] #1 zones #1 = \"1\": want a whole number from 0 to 65535"},
	{"[[filter]]\naction = \"include\"\nmarks = [\"0x10/\"]",
		"FILE:3: [[filter]] #1 marks #1 = \"0x10/\": want a number, or \"VALUE/MASK\" such as " +
			"\"0x10/0xff\""},
	{"[[filter]]\naction = \"include\"\nmarks = [\"0x100/0xff\"]",
		"FILE:3: [[filter]] #1 marks #1 = \"0x100/0xff\": the value has bits that the mask " +
			"hasn't: no mark would ever match"},
	{"[[filter]]\naction = \"include\"\nmarks = [-1]",
		"FILE:3: [[filter]] #1 marks #1 = -1: want a number, or \"VALUE/MASK\" such as " +
			"\"0x10/0xff\""},
	{"[[filter]]\naction = \"include\"\ninterfaces = [2]",
		"FILE:3: [[filter]] #1 interfaces #1 = 2: want text in quotes"},
	{"[[filter]]\naction = \"include\"\ninterfaces = [\"a-name-too-long-\"]",
		"FILE:3: [[filter]] #1 interfaces = [\"a-name-too-long-\"]: \"a-name-too-long-\" can't " +
			"be an interface's name"},

	// Metrics and log.
	{"[metrics]\nlisten = \"here\"",
		"FILE:2: [metrics] listen = \"here\": want HOST:PORT, an IPv6 address in brackets, or \"\""},
	{"[metrics]\nlisten = \"127.0.0.1:http\"",
		"FILE:2: [metrics] listen = \"127.0.0.1:http\": want HOST:PORT, an IPv6 address " +
			"in brackets, or \"\""},
	{"[metrics]\npprof = 0", "FILE:2: [metrics] pprof = 0: want true or false"},
	{"[log]\nlevel = \"loud\"",
		"FILE:2: [log] level = \"loud\": want \"debug\", \"info\", \"warn\" or \"error\""},
	{"[log]\nformat = \"xml\"",
		"FILE:2: [log] format = \"xml\": want \"auto\", \"console\", \"journald\" or \"json\""},

	// Several at once, and very many.
	{"[log]\nlevel = 1\nformat = 2\n[flow]\nnat = 3",
		"FILE:2: [log] level = 1: want \"debug\", \"info\", \"warn\" or \"error\"\n" +
			"FILE:3: [log] format = 2: want \"auto\", \"console\", \"journald\" or \"json\"\n" +
			"FILE:5: [flow] nat = 3: want \"endpoints\" or \"wire\""},
	{manyUnknown(25), unknownKeys(20) + "FILE: and 5 more"},
}

// manyUnknown is a file with unknown keys.
func manyUnknown(keys int) string {
	var b strings.Builder
	for i := range keys {
		fmt.Fprintf(&b, "x%d = 1\n", i)
	}
	return b.String()
}

// unknownKeys is the error about the first of them.
func unknownKeys(keys int) string {
	var b strings.Builder
	for i := range keys {
		fmt.Fprintf(&b, "FILE:%d: x%d = 1: unknown key; want one of %s\n", i+1, i, allTables)
	}
	return b.String()
}

// TestEachMistakeInFileIsReported: with file, line and key, and all of them at once.
func TestEachMistakeInFileIsReported(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "conntally.toml")
	for _, c := range badFiles {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		code := run(context.Background(), []string{"run", "--check-config", "--config", path},
			&stdout, &stderr)
		said := strings.ReplaceAll(stderr.String(), path, "FILE")
		if want := "conntally: " + c.want + "\n"; code != command.ExitUsage || said != want ||
			stdout.Len() > 0 {
			t.Errorf("%q: exit %d\n got %s\nwant %s", c.text, code, said, want)
		}
	}
	t.Logf("%d bad files", len(badFiles))
}

// badFlags are flags and their errors.
var badFlags = []struct{ args, want string }{
	{"--frobnicate", `run: unknown flag --frobnicate; see conntally help run`},
	{"-frobnicate=1", `run: unknown flag --frobnicate; see conntally help run`},
	{"--collecter a:1", `run: unknown flag --collecter; did you mean --collector?`},
	{"--poll_interval 1s", `run: unknown flag --poll_interval; did you mean --poll-interval?`},
	{"now", `run: unexpected argument "now"`},
	{"--collector", `run: flag needs an argument: --collector`},
	{"--collector 192.0.2.1",
		`run: invalid value "192.0.2.1" for flag --collector: want HOST:PORT, an IPv6 address in ` +
			`brackets`},
	{"--collector :2055",
		`run: invalid value ":2055" for flag --collector: the host is missing: want HOST:PORT`},
	{"--collector 192.0.2.1:0",
		`run: invalid value "192.0.2.1:0" for flag --collector: want HOST:PORT with a port from ` +
			`1 to 65535`},
	{"--collector a:1 --collector b:1 --collector a:1",
		`collector #3 address: named twice with this protocol, see #1`},
	{"--protocol sflow",
		`run: invalid value "sflow" for flag --protocol: want "ipfix" or "netflow9"`},
	{"--nat none", `run: invalid value "none" for flag --nat: want "endpoints" or "wire"`},
	{"--active-timeout 0s",
		`run: invalid value "0s" for flag --active-timeout: want a duration from 1ms to 24h, ` +
			`such as "60s" or "5m"`},
	{"--idle-timeout 15",
		`run: invalid value "15" for flag --idle-timeout: want a duration from 1ms to 24h, such ` +
			`as "60s" or "5m"`},
	{"--poll-interval 1ms",
		`run: invalid value "1ms" for flag --poll-interval: want "auto" or a duration from 100ms ` +
			`to 24h, such as "10s"`},
	{"--track=perhaps", `run: invalid boolean value "perhaps" for --track: want true or false`},
	{"--log-level loud",
		`run: invalid value "loud" for flag --log-level: want "debug", "info", "warn" or "error"`},
	{"--metrics here",
		`run: invalid value "here" for flag --metrics: want HOST:PORT, an IPv6 address ` +
			`in brackets, or ""`},
	{"--config /does/not/exist", `open /does/not/exist: no such file or directory`},
	{"--config /", `open /: is a directory`},
	{"--config /dev/zero", `/dev/zero is a device, not a regular file`},
}

// TestEachMistakeInFlagsIsReported: with exit code 2.
func TestEachMistakeInFlagsIsReported(t *testing.T) {
	for _, c := range badFlags {
		var stdout, stderr bytes.Buffer
		code := run(context.Background(),
			append([]string{"run", "--check-config"}, strings.Fields(c.args)...), &stdout, &stderr)
		if want := "conntally: " + c.want + "\n"; code != command.ExitUsage || stderr.String() != want ||
			stdout.Len() > 0 {
			t.Errorf("%q: exit %d\n got %s\nwant %s", c.args, code, &stderr, want)
		}
	}
	t.Logf("%d bad command lines", len(badFlags))
}

// TestConfigMustBeRegularFile: reading a FIFO would block.
func TestConfigMustBeRegularFile(t *testing.T) {
	dir := t.TempDir()
	fifo, socket, large := filepath.Join(dir, "fifo"), filepath.Join(dir, "socket"),
		filepath.Join(dir, "large")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.WriteFile(large, bytes.Repeat([]byte("#\n"), 1<<15+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		fifo:   fifo + " is a FIFO, not a regular file",
		socket: socket + " is a socket, not a regular file",
		large:  large + " is larger than 64 KiB",
	} {
		for _, line := range []string{"run --check-config", "check"} {
			var stdout, stderr bytes.Buffer
			args := append(strings.Fields(line), "--config", path)
			code := run(context.Background(), args, &stdout, &stderr)
			if code != command.ExitUsage || stderr.String() != "conntally: "+want+"\n" {
				t.Errorf("%q: exit %d, %s, want %s", args, code, &stderr, want)
			}
		}
	}
}

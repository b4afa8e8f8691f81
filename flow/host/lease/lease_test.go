package lease

import (
	"fmt"
	"strings"
	"testing"
)

// short prints leases as address=name/MAC/end, but for what there is none of.
func short(leases []Lease) string {
	var all []string
	for _, l := range leases {
		s := l.Addr.String() + "=" + l.Name
		if l.MAC != ([6]byte{}) {
			s += fmt.Sprintf("/%x", l.MAC)
		}
		switch l.Until {
		case Forever:
		case 0:
			s += "/over"
		default:
			s += fmt.Sprintf("/%d", l.Until)
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

type testCase struct {
	name, file, want, problem string
}

func check(t *testing.T, cases []testCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			leases, err := Parse([]byte(c.file))
			if got := short(leases); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if got := fmt.Sprint(err); got != c.problem && (err != nil || c.problem != "") {
				t.Errorf("got error %q, want %q", got, c.problem)
			}
		})
	}
}

const incomplete = "it ends in the middle of a lease"

func TestDNSMasq(t *testing.T) {
	check(t, []testCase{
		{"IPv4", "1790000000 02:00:00:00:00:01 192.0.2.10 laptop 01:02:00:00:00:00:01\n",
			"192.0.2.10=laptop/020000000001/1790000000", ""},
		{"IPv6 after a DUID, with an IAID", "duid 00:01:00:01:2c:d1:00:11:02:00:00:00:00:99\n" +
			"1790000000 16777217 2001:db8::10 laptop 00:01:00:01:2c:d1\n" +
			"1790000000 T16777217 2001:db8::11 * 00:03\n",
			"2001:db8::10=laptop/1790000000 2001:db8::11=/1790000000", ""},
		{"infinite, without a name", "0 02:00:00:00:00:01 192.0.2.10 * *\n",
			"192.0.2.10=/020000000001", ""},
		{"a machine without a clock", "43200 02:00:00:00:00:01 192.0.2.10 tv *\n",
			"192.0.2.10=tv/020000000001", ""},
		{"another kind of hardware", "1790000000 06-02:00:00:00:00:01 192.0.2.10 tv *\n",
			"192.0.2.10=tv/020000000001/1790000000", ""},
		{"no hardware address", "1790000000 00- 192.0.2.10 tv *\n", "192.0.2.10=tv/1790000000", ""},
		{"being written",
			"1790000000 02:00:00:00:00:01 192.0.2.10 laptop *\n" +
				"1790000000 02:00:00:00:00:02 192.0.2.11 ta",
			"192.0.2.10=laptop/020000000001/1790000000", incomplete},
		{"garbage between",
			"1790000000 02:00:00:00:00:01 192.0.2.10 laptop *\nx\n" +
				"1790000000 02:00:00:00:00:02 192.0.2.11 tv *\n",
			"192.0.2.10=laptop/020000000001/1790000000 192.0.2.11=tv/020000000002/1790000000",
			"1 of 3 entries are no leases; the first is in line 2"},
		{"an escape sequence", "1790000000 02:00:00:00:00:01 192.0.2.10 \x1b[2Jtv *\n",
			"192.0.2.10=[2Jtv/020000000001/1790000000", ""},
		{"a line without end", "1790000000 02:00:00:00:00:01 192.0.2.10 tv *\n1 2 " +
			strings.Repeat("x", 1<<20) + "\n",
			"192.0.2.10=tv/020000000001/1790000000",
			"1 of 2 entries are no leases; the first is in line 2"},
		{"nothing", "", "", ""},
	})
}

const (
	kea4 = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname," +
		"state,user_context,pool_id\n"
	kea6 = "address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid," +
		"prefix_len,fqdn_fwd,fqdn_rev," +
		"hostname,hwaddr,state,user_context,hwtype,hwaddr_source,pool_id\n"
)

func TestKea(t *testing.T) {
	row := func(mac, lifetime, expire, host, state string) string {
		return "192.0.2.10," + mac + ",01:02," + lifetime + "," + expire + ",1,0,0," + host + "," +
			state + ",,0\n"
	}
	check(t, []testCase{
		{"IPv4", kea4 + row("02:00:00:00:00:01", "3600", "1790000000", "laptop.lan.", "0"),
			"192.0.2.10=laptop/020000000001/1790000000", ""},
		{"IPv6", kea6 +
			"2001:db8::10,00:01,3600,1790000000,1,1800,0,1,128,0,0,laptop,02:00:00:00:00:01,0,,1," +
			"2,0\n",
			"2001:db8::10=laptop/020000000001/1790000000", ""},
		{"a prefix", kea6 + "2001:db8:1::,00:01,3600,1790000000,1,1800,2,1,56,0,0,router,,0,,,,0\n",
			"", ""},
		{"columns of an old version",
			"address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev," +
				"hostname\n" +
				"192.0.2.10,02:00:00:00:00:01,,3600,1790000000,1,0,0,tv\n",
			"192.0.2.10=tv/020000000001/1790000000", ""},
		{"columns in another order",
			"address,state,hostname,expire,hwaddr\n192.0.2.10,0,tv,1790000000,02:00:00:00:00:01\n",
			"192.0.2.10=tv/020000000001/1790000000", ""},
		{"later rows win", kea4 + row("02:00:00:00:00:01", "3600", "1790000000", "old", "0") +
			row("02:00:00:00:00:02", "3600", "1790000001", "new", "0"),
			"192.0.2.10=new/020000000002/1790000001", ""},
		{"declined", kea4 + row("", "3600", "1790000000", "", "1"), "192.0.2.10=/over", ""},
		{"reclaimed, its name is remembered", kea4 + row("02:00:00:00:00:01", "3600", "1790000000",
			"tv", "0") + row("02:00:00:00:00:01", "3600", "1790000000", "", "2"),
			"192.0.2.10=tv/020000000001/over", ""},
		{"released", kea4 + row("02:00:00:00:00:01", "0", "1790000000", "tv", "0"),
			"192.0.2.10=tv/020000000001/over", ""},
		{"without end", kea4 + row("02:00:00:00:00:01", "4294967295", "1790000000", "tv", "0"),
			"192.0.2.10=tv/020000000001", ""},
		{"an escaped comma", kea4 + row("02:00:00:00:00:01", "3600", "1790000000", "a&#x2cb", "0"),
			"192.0.2.10=ab/020000000001/1790000000", ""},
		{"a comma in the context", kea4 +
			"192.0.2.10,02:00:00:00:00:01,,3600,1790000000,1,0,0,tv,0,{ \"a\": 1&#x2c \"b\": 2 " +
			"},0\n",
			"192.0.2.10=tv/020000000001/1790000000", ""},
		{"being written", kea4 + "192.0.2.10,02:00:00:00:00:01,,3600,1790000000,1,0,0,t", "",
			incomplete},
		{"the header being written", kea4[:30], "", incomplete},
		{"another table", "address,what\n1,2\n", "",
			"its first line names no columns hostname and expire"},
		{"garbage", kea4 + "x,y\n", "", "1 of 2 entries are no leases; the first is in line 2"},
	})
}

// TestKeaFilesAreOneHistory: what a later file says of an address replaces what an earlier one
// said.
func TestKeaFilesAreOneHistory(t *testing.T) {
	first := kea4 +
		"192.0.2.10,02:00:00:00:00:01,,3600,1790000000,1,0,0,first,0,,0\n" +
		"192.0.2.11,02:00:00:00:00:02,,3600,1790000000,1,0,0,tv,0,,0\n"
	second := kea4 +
		"192.0.2.10,02:00:00:00:00:03,,3600,1790000000,1,0,0,second,0,,0\n" +
		"192.0.2.11,02:00:00:00:00:02,,3600,1790000000,1,0,0,,2,,0\n"
	leases, err := Parse([]byte(first), []byte(second))
	want := "192.0.2.10=second/020000000003/1790000000 192.0.2.11=tv/020000000002/over"
	if got := short(leases); got != want || err != nil {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
}

func TestKeaUnescape(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a": "a", "&#x2c": ",", "a&#x2cb&#x2c": "a,b,", "&#x26#x2c": "&#x2c", "&#x": "&#x",
		"&#x2": "&#x2", "&#xzz": "&#xzz", "&#&#x41": "&#A",
	} {
		if got := keaUnescape(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

const dhcpdHeader = "# The format of this file is documented in the dhcpd.leases(5) manual " +
	"page.\n" +
	"# This lease file was written by isc-dhcp-4.4.3-P1\n\n" +
	"# authoring-byte-order entry is generated, DO NOT DELETE\n" +
	"authoring-byte-order little-endian;\n\nserver-duid \"\\000\\001\\000\\001;{}\\\"\";\n\n"

func TestDHCPD(t *testing.T) {
	block := func(statements string) string {
		return "lease 192.0.2.10 {\n  starts 0 2026/11/29 08:00:00;\n" +
			"  hardware ethernet 02:00:00:00:00:01;\n" + statements + "}\n"
	}
	check(t, []testCase{
		{"IPv4", dhcpdHeader +
			block("  ends 0 2026/11/29 20:00:00;\n  cltt 0 2026/11/29 08:00:00;\n"+
				"  binding state active;\n"+
				"  next binding state free;\n  rewind binding state free;\n"+
				"  uid \"\\001\\002\\000}\\000;\\\"{\";\n  client-hostname \"laptop\";\n"),
			"192.0.2.10=laptop/020000000001/1795982400", ""},
		{"without end",
			block("  ends never;\n  binding state active;\n  client-hostname \"tv\";\n"),
			"192.0.2.10=tv/020000000001", ""},
		{"local time",
			block("  ends epoch 1790000000; # Mon Sep 21 13:33:20 2026\n  binding state active;\n" +
				"  client-hostname \"tv\";\n"),
			"192.0.2.10=tv/020000000001/1790000000", ""},
		{"free",
			block("  ends 0 2026/11/29 20:00:00;\n  binding state free;\n" +
				"  client-hostname \"tv\";\n"), "192.0.2.10=tv/020000000001/over", ""},
		{"the last block wins", block("  binding state active;\n  client-hostname \"old\";\n") +
			block("  binding state active;\n  client-hostname \"new\";\n"),
			"192.0.2.10=new/020000000001", ""},
		{"a name in the DNS",
			block("  set ddns-fwd-name = \"tv.example.org\";\n" +
				"  set vendor-class-identifier = \"x\";\n"), "192.0.2.10=tv/020000000001", ""},
		{"the client's name before that in the DNS",
			block("  client-hostname \"mine\";\n  set ddns-fwd-name = \"tv.example.org\";\n"),
			"192.0.2.10=mine/020000000001", ""},
		{"an octal escape", block("  client-hostname \"a\\033[2Jb\\\"c\";\n"),
			"192.0.2.10=a[2Jbc/020000000001", ""},
		{"blocks within",
			block("  on expiry {\n    set x = \"}\";\n    client-hostname \"no\";\n  }\n" +
				"  client-hostname \"tv\";\n"), "192.0.2.10=tv/020000000001", ""},
		{"IPv6", dhcpdHeader +
			"ia-na \"\\001\\000}\\000\" {\n  cltt 0 2026/11/29 08:00:00;\n" +
			"  iaaddr 2001:db8::10 {\n    binding state active;\n" +
			"    preferred-life 27000;\n    max-life 43200;\n    ends 0 2026/11/29 20:00:00;\n" +
			"    set ddns-fwd-name = \"laptop.lan\";\n  }\n}\n" +
			"ia-pd \"x\" {\n  iaprefix 2001:db8:1::/56 {\n    binding state active;\n  }\n}\n",
			"2001:db8::10=laptop/1795982400", ""},
		{"other blocks",
			"failover peer \"x\" state {\n  my state normal at 0 2026/11/29 08:00:00;\n}\n" +
				"host tv {\n  dynamic;\n  hardware ethernet 02:00:00:00:00:01;\n}\n", "", ""},
		{"being written", block("client-hostname \"tv\";\n") +
			"lease 192.0.2.11 {\n  hardware ethernet 02:00:00:00:00:02;\n",
			"192.0.2.10=tv/020000000001", incomplete},
		{"a string being written", block("client-hostname \"tv\";\n") +
			"lease 192.0.2.11 {\n uid \"\\0", "192.0.2.10=tv/020000000001", incomplete},
		{"a word being written", block("client-hostname \"tv\";\n") + "lea",
			"192.0.2.10=tv/020000000001", incomplete},
		{"one brace too many", block("client-hostname \"tv\";\n") + "}\n",
			"192.0.2.10=tv/020000000001", "1 of 1 entries are no leases; the first is in line 6"},
		{"no address", "lease x {\n client-hostname \"tv\";\n}\n", "",
			"1 of 1 entries are no leases; the first is in line 3"},
	})
}

func TestOdhcpd(t *testing.T) {
	check(t, []testCase{
		{"IPv4",
			"192.0.2.10\tlaptop.lan\tlaptop\n" +
				"# br-lan 020000000001 ipv4 laptop 1790000000 c000020a 32 192.0.2.10/32\n",
			"192.0.2.10=laptop/020000000001/1790000000", ""},
		{"IPv6",
			"2001:db8::10\tlaptop.lan\tlaptop\n" +
				"# br-lan 00010001aabbccdd020000000001 1 laptop 1790000000 10 128 " +
				"2001:db8::10/128 2001:db8:1::10/128\n",
			"2001:db8::10=laptop/1790000000 2001:db8:1::10=laptop/1790000000", ""},
		{"of 2026",
			"# br-lan 2:0:0:0:0:1 ipv4 laptop 1790000000 c000020a 32 192.0.2.10/32\n" +
				"# br-lan 02:00:00:00:00:0A ipv4 broken\\x20a\\x20b -1 c000020b 32 192.0.2.11/32\n",
			"192.0.2.10=laptop/020000000001/1790000000 192.0.2.11=/02000000000a", ""},
		{"a prefix",
			"# br-lan 00010001aabbccdd020000000001 1 router 1790000000 10 62 2001:db8:0:4::/62\n",
			"", ""},
		{"a broken name",
			"# br-lan 020000000001 ipv4 broken\\x20evil 1790000000 c000020a 32 192.0.2.10/32\n",
			"192.0.2.10=/020000000001/1790000000", ""},
		{"no name, no end", "# br-lan 020000000001 ipv4 - -1 c000020a 32 192.0.2.10/32\n",
			"192.0.2.10=/020000000001", ""},
		{"over", "# br-lan 020000000001 ipv4 tv 0 c000020a 32 192.0.2.10/32\n",
			"192.0.2.10=tv/020000000001/over", ""},
		{"over, without addresses", "# br-lan 00010001 1 tv 0 10 128\n", "", ""},
		{"names alone", "192.0.2.10\ttv.lan\ttv\n2001:db8::10\ttv.lan\ttv\n",
			"192.0.2.10=tv 2001:db8::10=tv", ""},
		{"a comment", "# by hand\n192.0.2.10 tv\n", "192.0.2.10=tv", ""},
		{"being written", "192.0.2.10\ttv.lan\tt", "", incomplete},
		{"garbage", "192.0.2.10 tv\nx y\n", "192.0.2.10=tv",
			"1 of 2 entries are no leases; the first is in line 2"},
	})
}

func TestNetworkd(t *testing.T) {
	const begin = `{"BootID":"d7f5041316de4f1f992a8a2822218a71","Address":[192,0,2,1],` +
		`"PrefixLength":24,"Leases":[`
	check(t, []testCase{
		{"version 256", begin +
			`{"ClientId":[1,2,0,0,0,0,1],"Address":[192,0,2,10],"Hostname":"laptop",` +
			`"ExpirationUSec":72338380895,"ExpirationRealtimeUSec":1790000000500000}]}` + "\n",
			"192.0.2.10=laptop/020000000001/1790000000", ""},
		{"with a hardware address", begin +
			`{"ClientId":[255,1,2,3,4,0,2,0,0,171,17],"AddressString":"192.0.2.10",` +
			`"Address":[192,0,2,10],"Hostname":"tv",` +
			`"HardwareAddressType":1,"HardwareAddressLength":6,"HardwareAddress":[2,0,0,0,0,1],` +
			`"ExpirationRealtimeUSec":1790000000000000}]}`,
			"192.0.2.10=tv/020000000001/1790000000", ""},
		{"an identifier without a MAC", begin +
			`{"ClientId":[255,1,2,3,4,0,2],"Address":[192,0,2,10],"Hostname":"tv"}]}`,
			"192.0.2.10=tv", ""},
		{"not Ethernet", begin +
			`{"Address":[192,0,2,10],"HardwareAddressType":32,"HardwareAddress":[2,0,0,0,0,1]}]}`,
			"192.0.2.10=", ""},
		{"no name", begin + `{"ClientId":[1,2,0,0,0,0,1],"Address":[192,0,2,10],"Hostname":null}]}`,
			"192.0.2.10=/020000000001", ""},
		{"no leases",
			`{"BootID":"d7f5041316de4f1f992a8a2822218a71","Address":[192,0,2,1],"PrefixLength":24}`,
			"", ""},
		{"being written", begin +
			`{"ClientId":[1,2,0,0,0,0,1],"Address":[192,0,2,10],"Hostname":"tv"},{"Addr`,
			"192.0.2.10=tv/020000000001", incomplete},
		{"no address", begin + `{"Hostname":"tv"}]}`, "", "at byte 112: lease 1 has no address"},
		{"a long array", begin + `{"Address":[` + strings.Repeat("1,", 4096) + `1]}]}`, "",
			"at byte 8302: an array of 8195 B is too long"},
		{"a large number", begin + `{"Address":[192,0,2,256]}]}`, "",
			"at byte 120: 256 is more than a byte holds"},
		{"another object", `{"Leases":3}`, "", `at byte 11: "3" instead of "["`},
	})
}

func TestParseMAC(t *testing.T) {
	for s, want := range map[string]string{
		"02:00:00:00:00:01": "020000000001", "02-00-00-00-00-0A": "02000000000a",
		"2:0:0:0:0:1": "020000000001",
		"":            "", "02:00:00:00:00": "", "02:00:00:00:00:01:02": "",
		"02:00:00:00:00:001": "",
		"02:00:00:00:00:":    "", "020000000001": "", "g:0:0:0:0:0": "",
		"+2:0:0:0:0:0": "", strings.Repeat("0:", 1<<16): "",
	} {
		mac, err := ParseMAC(s)
		if got := fmt.Sprintf("%x", mac); (err == nil) != (want != "") || err == nil &&
			got != want {
			t.Errorf("%.30q: got %s, %v, want %s", s, got, err, want)
		}
	}
}

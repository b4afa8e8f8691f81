package lease

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestOtherFilesAreRefused(t *testing.T) {
	check(t, []testCase{
		{"text", "Dear Sir,\nthis is no lease.\n", "",
			"it is of no DHCP server that is known here"},
		{"comments alone", "# nothing\n\n", "", ""},
		{"a long line", strings.Repeat("x", 1<<20) + "\n", "",
			"it is of no DHCP server that is known here"},
	})
}

// TestCutFilesLoseNothingButTheirEnd: wherever a file is cut, each lease is as in the whole
// file, or in an earlier state, or missing.
func TestCutFilesLoseNothingButTheirEnd(t *testing.T) {
	for name, file := range samples() {
		whole, err := Parse([]byte(file))
		if err != nil || len(whole) < 2 {
			t.Fatal(name, whole, err)
		}
		for size := range len(file) {
			part, _ := Parse([]byte(file[:size]))
			for _, l := range part {
				if !slices.Contains(whole, l) {
					t.Errorf("%s, cut after %d of %d B: %s", name, size, len(file),
						short([]Lease{l}))
				}
			}
		}
	}
}

// samples has a file of each kind with two leases or more.
func samples() map[string]string {
	return map[string]string{
		"dnsmasq": "1790000000 02:00:00:00:00:01 192.0.2.10 laptop *\nduid 00:01\n" +
			"1790000000 1 2001:db8::10 laptop 00:01\n",
		"kea": kea4 +
			"192.0.2.10,02:00:00:00:00:01,,3600,1790000000,1,0,0,laptop,0,,0\n" +
			"192.0.2.11,02:00:00:00:00:02,,3600,1790000000,1,0,0,tv,0,,0\n",
		"dhcpd": dhcpdHeader +
			"lease 192.0.2.10 {\n  binding state active;\n  uid \"}\";\n" +
			"  client-hostname \"laptop\";\n}\n" +
			"ia-na \"x\" {\n  iaaddr 2001:db8::10 {\n    ends never;\n" +
			"    set ddns-fwd-name = \"laptop.lan\";\n  }\n}\n",
		"odhcpd": "# br-lan 020000000001 ipv4 laptop 1790000000 c000020a 32 192.0.2.10/32\n" +
			"# br-lan 0001 1 laptop 1790000000 10 128 2001:db8::10/128\n",
		"networkd": `{"Address":[192,0,2,1],"Leases":[{"ClientId":[1,2,0,0,0,0,1],` +
			`"Address":[192,0,2,10],"Hostname":"laptop"},` +
			`{"ClientId":[1,2,0,0,0,0,2],"Address":[192,0,2,11],"Hostname":"tv"}]}`,
	}
}

// TestInventedLeasesAreBounded: invented clients take no more memory than there is room
// for.
func TestInventedLeasesAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, "1790000000 02:00:00:%02x:%02x:%02x 10.%d.%d.%d invented-%d *\n", i>>16,
			i>>8&255, i&255, i>>16, i>>8&255, i&255, i)
	}
	leases, err := Parse([]byte(b.String()))
	if len(leases) != Most || err == nil || errors.Is(err, ErrIncomplete) {
		t.Errorf("%d leases, %v", len(leases), err)
	}
}

// fuzz runs a parser: it must return with valid leases, whatever it reads.
func fuzz(f *testing.F, kind string, parse parser) {
	for name, file := range samples() {
		if name == kind {
			f.Add([]byte(file))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := newCollector()
		err := parse(b, c)
		seen := map[netip.Addr]bool{}
		for _, l := range c.leases {
			if !l.Addr.IsValid() || l.Addr.Zone() != "" || l.Addr.Is4In6() || seen[l.Addr] ||
				l.Until < 0 {
				t.Errorf("%+v, %v", l, err)
			}
			seen[l.Addr] = true
		}
		_, _ = Parse(b, b)
	})
}

func FuzzDNSMasq(f *testing.F)  { fuzz(f, "dnsmasq", dnsmasq) }
func FuzzKea(f *testing.F)      { fuzz(f, "kea", kea) }
func FuzzDHCPD(f *testing.F)    { fuzz(f, "dhcpd", dhcpd) }
func FuzzOdhcpd(f *testing.F)   { fuzz(f, "odhcpd", odhcpd) }
func FuzzNetworkd(f *testing.F) { fuzz(f, "networkd", networkd) }

package config

import (
	"testing"

	"github.com/conntally/conntally/cmd/internal/tomlfile"
)

// A collector that can't be reached from its source is refused, if that can be known.
func TestFamilies(t *testing.T) {
	for _, c := range []struct{ address, source, want string }{
		{"192.0.2.10:2055", "192.0.2.1", ""},
		{"192.0.2.10:2055", "::ffff:192.0.2.1", ""},
		{"[::ffff:192.0.2.10]:2055", "192.0.2.1", ""},
		{"[2001:db8::10]:2055", "2001:db8::1", ""},
		{"[fe80::10%eth0]:2055", "fe80::1", ""},
		{"192.0.2.10:2055", "", ""},
		{"[2001:db8::10]:2055", "", ""},
		{"flows.example.org:2055", "192.0.2.1", ""}, // a name may have both
		{"flows.example.org:2055", "2001:db8::1", ""},
		{"192.0.2.10:2055", "2001:db8::1",
			`FILE:3: [[collector]] #1 source = "2001:db8::1": want an IPv4 address, as the ` +
				`collector's is`},
		{"[2001:db8::10]:2055", "192.0.2.1",
			`FILE:3: [[collector]] #1 source = "192.0.2.1": want an IPv6 address, as the ` +
				`collector's is`},
		{"[::ffff:192.0.2.10]:2055", "2001:db8::1",
			`FILE:3: [[collector]] #1 source = "2001:db8::1": want an IPv4 address, as the ` +
				`collector's is`},
	} {
		got := ""
		if err := tomlfile.Decode("FILE",
			[]byte("[[collector]]\naddress = \""+c.address+"\"\nsource = \""+c.source+"\"\n"),
			Default()); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s from %q:\n got %s\nwant %s", c.address, c.source, got, c.want)
		}
	}
}

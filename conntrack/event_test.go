package conntrack

import (
	"net/netip"
	"testing"
)

func TestGroupsAreMulticastAndBroadcast(t *testing.T) {
	cases := map[string]bool{
		"223.255.255.255": false, "224.0.0.0": true, "239.255.255.250": true, "240.0.0.1": false,
		"255.255.255.254": false, "255.255.255.255": true, "192.0.2.255": false, "0.0.0.0": false,
		"ff00::": true, "ff02::fb": true, "fe80::1": false, "2001:db8::e000:1": false, "::": false,
	}
	for text, want := range cases {
		if a := AddrFrom(netip.MustParseAddr(text)); a.IsGroup() != want {
			t.Errorf("%s is a group: %t, want %t", text, !want, want)
		}
	}
}

package kernel

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/conntally/conntally/bench/lab/labtest"
)

// TestInterfacesByZoneOfPatterns proves that wildcards, sets and their negation stand for the links
// that there are: "lan*" isn't the name of one.
func TestInterfacesByZoneOfPatterns(t *testing.T) {
	zones := interfacesByZone(t, []string{"lan0", "lan1", "wan0", "wan1"}, `table inet z {
	set names { typeof iifname; elements = { "lan0", "late0" } }
	map few { typeof iifname : ct zone; elements = { "lan0" : 20, "wan0" : 21 } }
	map wide { typeof iifname : ct zone; flags interval
		elements = { "lan*" : 22, "wan0" : 23, "la" : 24, "w" : 25 }
	}
	map split { typeof iifname : ct zone; flags interval; elements = { "wam*" : 16 } }
	map rest { typeof iifname : ct zone; elements = { "lan0" : 26, * : 27 } }
	map others { typeof iifname : ct zone; flags interval; elements = { "lan*" : 28, * : 29 } }
	chain raw { type filter hook prerouting priority raw;
		iifname "lan*" ct zone set 1
		iifname "lan\*" ct zone set 2
		iifname "lan" ct zone set 3
		iifname "wan*" iifname != "wan1" ct original zone set 4
		iifname != "wan*" ct zone set 5
		iifname { "lan0", "late1" } ct zone set 6
		iifname @names ct zone set 7
		iifname != { "lan0", "other*" } ct zone set 8
		iifname { "lan*", "wan1" } ct zone set 9
		iifname "nothing*" ct zone set 10
		oifname "lan0" ct zone set 11
		iifname . meta l4proto { "lan0" . tcp } ct zone set 12
		iifname "lan0" ct zone set 13 meta mark set 99
		iifname "lan1" meta mark set iifname map @few ct zone set 14
		iifname "wan*" ct zone set iifname map @few
		iifname "lan1" ct mark 5 ct zone set 15
		iifname "lan1" meta mark set 99 ct zone set meta mark map { 5 : 99 }
		ct zone set iifname map @wide
		ct zone set iifname map @split
		ct zone set iifname map @rest
		ct zone set iifname map @others
	}
}
add element inet z split { "wan*" : 17 }`)
	lan, all := []string{"lan0", "lan1"}, []string{"lan0", "lan1", "wan0", "wan1"}
	want := map[uint16][]string{
		1: lan, 2: {"lan*"}, 3: {"lan"}, 4: {"wan0"}, 5: lan, 6: {"lan0", "late1"},
		7: {"lan0", "late0"}, 8: all[1:], 9: {"lan0", "lan1", "wan1"}, 13: {"lan0"},
		15: {"lan1"}, 17: all[2:], 21: {"wan0"}, 22: lan, 23: {"wan0"}, 26: {"lan0"}, 27: all[1:],
		28: lan, 29: all[2:],
	}
	if !maps.EqualFunc(zones, want, slices.Equal[[]string]) {
		t.Errorf("%v\nwant %v", zones, want)
	}
}

// TestInterfacesByZone proves that rules and maps are read, but only in chains before conntrack.
func TestInterfacesByZone(t *testing.T) {
	zones := interfacesByZone(t, nil, `table inet z {
	map zones { typeof iifname : ct zone
		elements = { "red0" : 20, "blue0" : 21 }
	}
	chain raw { type filter hook prerouting priority raw;
		iifname "lan0" ct original zone set 10
		iifname "lan1" counter ct zone set 11
		iifname "lan2" ip saddr 10.0.0.0/8 ct zone set 11
		iifname != "lan3" ct zone set 12
		iifname "lan4" ct mark set 13
		ct original zone set iifname map @zones
	}
	chain late { type filter hook prerouting priority 0; iifname "lan5" ct mark set 10; }
}`)
	want := map[uint16][]string{10: {"lan0"}, 11: {"lan1", "lan2"}, 20: {"red0"}, 21: {"blue0"}}
	if !maps.EqualFunc(zones, want, slices.Equal[[]string]) {
		t.Errorf("%v, want %v", zones, want)
	}
}

// interfacesByZone returns what is read in a namespace that has links, in pairs, and rules.
func interfacesByZone(t *testing.T, links []string, rules string) map[uint16][]string {
	t.Helper()
	n := labtest.NewNamespace(t)
	for pair := range slices.Chunk(links, 2) {
		if err := n.IP("link add " + pair[0] + " type veth peer name " + pair[1]); err != nil {
			t.Fatal(err)
		}
	}
	nft := exec.Command("nft", "-f", "-")
	nft.Stdin = strings.NewReader(rules)
	if err := n.Start(nft); err != nil {
		t.Skip(err)
	}
	if err := nft.Wait(); err != nil {
		t.Fatal("nft:", err)
	}
	var zones map[uint16][]string
	if err := n.Do(func() (err error) { zones, err = InterfacesByZone(); return err }); err != nil {
		t.Fatal(err)
	}
	return zones
}

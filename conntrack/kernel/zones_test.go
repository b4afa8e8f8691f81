package kernel

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/conntally/conntally/bench/lab"
)

// TestInterfacesByZone proves that rules and maps are read, but only in chains before conntrack.
func TestInterfacesByZone(t *testing.T) {
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	n, err := lab.NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	nft := exec.Command("nft", "-f", "-")
	nft.Stdin = strings.NewReader(`table inet z {
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
	want := map[uint16][]string{10: {"lan0"}, 11: {"lan1", "lan2"}, 20: {"red0"}, 21: {"blue0"}}
	if !maps.EqualFunc(zones, want, slices.Equal[[]string]) {
		t.Errorf("%v, want %v", zones, want)
	}
}

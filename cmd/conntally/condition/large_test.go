package condition

import (
	"math"
	"testing"
)

// The largest table that there can be is right in 32 bits, too.
func TestLargestTable(t *testing.T) {
	k := Kernel{Entries: math.MaxInt32, Max: math.MaxInt32}
	list := k.ofTable()
	if len(list) != 1 {
		t.Fatalf("got %+v", list)
	}
	if got, want := list[0].Detail, "2147483647 of 2147483647 connections, 100 %"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	got, want := list[0].Fix, "sysctl -w net.netfilter.nf_conntrack_max=2147483647"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

package main

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/conntally/print"
	"github.com/conntally/conntally/export/decode"
)

// way is how packets passed the router: between which real ends, in and out by which
// interfaces.
type way struct {
	proto         uint8
	from, to      netip.AddrPort
	input, output uint32
}

func (w way) String() string {
	name := print.Protocol(w.proto)
	return fmt.Sprintf("%s %v > %v, interface %d > %d", name, w.from, w.to, w.input, w.output)
}

// wayOf returns the way of a record of either view.
func wayOf(f *decode.Flow) way {
	from, to := netip.AddrPortFrom(f.Src, f.SrcPort), netip.AddrPortFrom(f.Dst, f.DstPort)
	w := way{f.Protocol, from, to, f.Input, f.Output}
	if f.PostDst.IsValid() { // nat = "wire": the destination is as it was before
		w.to = netip.AddrPortFrom(f.PostDst, f.PostDstPort)
	}
	switch f.Protocol {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP:
	default:
		w.from, w.to = portless(w.from), portless(w.to)
	}
	return w
}

// unknowable reports whether no route leads to an end: an address that several
// interfaces may have, or none at all. Its interface may be said to be unknown.
func (w way) unknowable() bool {
	from, to := w.from.Addr(), w.to.Addr()
	return from.IsUnspecified() || from.IsLinkLocalUnicast() || to.IsLinkLocalUnicast()
}

// unknown reports whether both interfaces are given as unknown: as lo or none.
func (w way) unknown() bool { return w.input <= loopbackIndex && w.output <= loopbackIndex }

type ways map[way]lab.Count

func (w ways) add(k way, c lab.Count) {
	sum := w[k]
	sum.Packets += c.Packets
	sum.Bytes += c.Bytes
	w[k] = sum
}

// equals fails the test for each way that differs.
func (w ways) equals(t *testing.T, who string, got ways) {
	t.Helper()
	if sums, want := got.totals(), w.totals(); !maps.Equal(sums, want) {
		t.Errorf("%s: records of %v, passed %v", who, sums, want)
	}
	got = w.interpret(got)
	both := maps.Clone(got)
	maps.Copy(both, w)
	var differ []string
	for k := range both {
		if got[k] != w[k] {
			differ = append(differ, fmt.Sprintf("%v: records of %v, passed %v", k, got[k], w[k]))
		}
	}
	if len(differ) > 0 {
		slices.Sort(differ) // one connection's stand together
		some := strings.Join(differ[:min(len(differ), 10)], "\n")
		t.Errorf("%s: %d differ, such as\n%s", who, len(differ), some)
	}
}

// interpret replaces interfaces that are given as unknown, where they may be, by the right
// ones.
func (w ways) interpret(got ways) ways {
	known := ways{}
	for k, c := range got {
		if k.unknowable() && k.unknown() {
			for right := range w {
				if right.proto == k.proto && right.from == k.from && right.to == k.to {
					k = right
				}
			}
		}
		known.add(k, c)
	}
	return known
}

// totals are by protocol and direction.
func (w ways) totals() map[string]lab.Count {
	sums := map[string]lab.Count{}
	for k, c := range w {
		direction := "other"
		switch {
		case k.output == ordinaryWAN:
			direction = "up"
		case k.input == ordinaryWAN:
			direction = "down"
		}
		name := fmt.Sprint(print.Protocol(k.proto), " ", direction)
		sum := sums[name]
		sum.Packets += c.Packets
		sum.Bytes += c.Bytes
		sums[name] = sum
	}
	return sums
}

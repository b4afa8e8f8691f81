package account

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/host"
)

// TestKnownEndsChangeNothing: whatever happens, devices end up with the same counters and addresses
// as if no end were remembered.
func TestKnownEndsChangeNothing(t *testing.T) {
	for seed := range uint64(100) {
		got, want := playEnds(seed, false), playEnds(seed, true)
		for step := range want {
			if !reflect.DeepEqual(got[step], want[step]) {
				t.Fatalf("seed %d, step %d: %v, want %v", seed, step, got[step], want[step])
			}
		}
	}
}

// playEnds has neighbours, aliases and connections of a few addresses come and go, and returns the
// devices after each step. With forget, no end is remembered from one connection to the next.
func playEnds(seed uint64, forget bool) (steps []map[string]string) {
	r := rand.New(rand.NewPCG(seed, 2))
	n := &notified{network: network{macs: map[conntrack.Addr]host.MAC{}}}
	a, _ := newTest(func(o *Options) { o.Max, o.Resolver = 6, n })
	address := func() string { return fmt.Sprintf("192.0.2.%d", 1+r.IntN(9)) }
	hop := func() flow.Hop { return []flow.Hop{0, toLAN, toLAN, toLAN2, toWAN}[r.IntN(5)] }
	mac := func() string { return fmt.Sprintf("00:16:3e:00:00:%02x", 1+r.IntN(4)) }
	now := int64(1)
	for range 300 {
		now += int64(r.IntN(3)) // often none has passed
		switch what := r.IntN(20); {
		case what < 12:
			if forget {
				a.known = [2]knownEnds{}
			}
			a.CountEnded(opened(address(), address(), now), flow.Path{hop(), hop()}, moved(100, 300))
		case what < 15:
			n.pending = append(n.pending, change{address(), mac()})
		case what < 16:
			n.pending = append(n.pending, change{address(), ""})
		case what < 18:
			n.apply()
		case what < 19:
			a.Refresh(at(now))
		default:
			o := a.options
			o.Aliases = []Alias{{Name: "x", Addrs: []netip.Addr{ip(address()), ip(address())}}}
			a.Reconfigure(o)
		}
		steps = append(steps, devicesOf(a))
	}
	return steps
}

// devicesOf returns what each device has counted, and its addresses.
func devicesOf(a *Accounts) map[string]string {
	all := bytesOf(a.Snapshot(at(1)))
	for i := range a.devices {
		if d := &a.devices[i]; d.addresses != nil {
			all[d.id.String()] += fmt.Sprint(d.addresses)
		}
	}
	return all
}

// notified is a network that knows of changes when it is told, or when it is asked for what it
// doesn't know: as host.Neighbours.
type notified struct {
	network
	pending []change
	asked   int64
}

type change struct{ address, mac string }

func (n *notified) MAC(a *conntrack.Addr, index uint32, at int64) host.MAC {
	if n.macs[*a] == (host.MAC{}) && n.asked < at {
		n.asked = at
		n.apply()
	}
	return n.network.MAC(a, index, at)
}

func (n *notified) apply() {
	for _, c := range n.pending {
		n.set(c.address, c.mac)
	}
	n.pending = nil
}

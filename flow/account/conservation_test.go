package account

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/host"
)

// TestNothingIsLostInAnyOrder: connections, neighbours that become known, aliases, restarts
// and a full table in random order. What all devices have counted is what was moved, and
// connections are those that are open.
func TestNothingIsLostInAnyOrder(t *testing.T) {
	for seed := range uint64(200) {
		w := newWorld(seed)
		for step := range 400 {
			w.step()
			if wrong := w.check(); wrong != "" {
				t.Fatalf("seed %d, step %d: %s", seed, step, wrong)
			}
		}
		w.closeAll()
		if wrong := w.check(); wrong != "" || len(w.a.byID) != len(w.a.devices)-len(w.a.freed) {
			t.Fatalf("seed %d, after all have ended: %s; %d devices, %d places", seed, wrong,
				len(w.a.byID), len(w.a.devices)-len(w.a.freed))
		}
	}
}

// world makes random things happen to an Accounts.
type world struct {
	*rand.Rand
	a     *Accounts
	n     *network
	o     Options
	now   int64
	ends  map[uint32]int // connections by slot
	open  int
	moved uint64
}

func newWorld(seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 1)), ends: map[uint32]int{}}
	w.a, w.n = newTest(func(o *Options) { o.Max = 8 })
	w.o = w.a.options
	return w
}

func (w *world) address() string { return fmt.Sprintf("192.0.2.%d", 1+w.IntN(20)) }

func (w *world) hop() flow.Hop { return []flow.Hop{0, toLAN, toLAN2, toWAN, toLAN}[w.IntN(5)] }

func (w *world) step() {
	w.now += int64(w.IntN(100))
	switch w.IntN(12) {
	case 0, 1, 2:
		slot := w.a.Open(opened(w.address(), w.address(), w.now), flow.Path{w.hop(), w.hop()})
		w.ends[slot]++
		w.open++
	case 3, 4, 5, 6:
		for slot := range w.ends {
			up, down := uint64(w.IntN(3)*100), uint64(w.IntN(3)*100)
			w.a.Count(slot, moved(up, down), at(w.now))
			w.moved += up + down
			break
		}
	case 7:
		for slot := range w.ends {
			w.close(slot)
			break
		}
	case 8:
		w.n.set(w.address(), []string{"", "02:00:00:00:00:01", "00:16:3e:00:00:02",
			"00:16:3e:00:00:03"}[w.IntN(4)])
	case 9:
		w.a.Refresh(at(w.now))
	case 10:
		w.o.Aliases = nil
		if w.IntN(3) > 0 {
			w.o.Aliases = []Alias{{Name: "tv", MACs: []host.MAC{hardware("00:16:3e:00:00:02")},
				Addrs: []netip.Addr{ip(w.address())}}}
		}
		w.a.Reconfigure(w.o)
	case 11:
		w.restart()
	}
}

func (w *world) close(slot uint32) {
	w.a.Close(slot)
	w.open--
	if w.ends[slot]--; w.ends[slot] == 0 {
		delete(w.ends, slot)
	}
}

func (w *world) closeAll() {
	for w.open > 0 {
		for slot := range w.ends {
			w.close(slot)
		}
	}
}

// restart continues what another run has saved, without its connections.
func (w *world) restart() {
	w.closeAll()
	saved := w.a.Snapshot(at(w.now)).Encode()
	w.a = New(w.o)
	if err := w.a.Restore(saved); err != nil {
		panic(err)
	}
}

func (w *world) check() string {
	s := w.a.Snapshot(at(w.now))
	bytes, connections, want := uint64(0), 0, 0
	for i := range s.Devices {
		u := &s.Devices[i].Usage
		bytes += u[WAN].Up.Bytes + u[WAN].Down.Bytes + u[LAN].Up.Bytes
		connections += s.Devices[i].Connections
	}
	for slot := range w.ends {
		for _, end := range w.a.routes[slot].ends {
			if end >= 0 {
				want += w.ends[slot]
			}
		}
	}
	switch {
	case bytes != w.moved:
		return fmt.Sprintf("%d bytes of devices, %d were moved", bytes, w.moved)
	case connections != want:
		return fmt.Sprintf("%d connections of devices, want %d", connections, want)
	case s.Connections != w.open:
		return fmt.Sprintf("%d connections, want %d", s.Connections, w.open)
	case len(s.Devices) > w.o.Max+2:
		return fmt.Sprintf("%d devices", len(s.Devices))
	}
	return ""
}

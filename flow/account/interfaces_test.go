package account

import (
	"testing"

	"github.com/conntally/conntally/flow"
)

// TestManyInterfacesStayBounded: a container after another. What finds no room counts for
// OtherInterfaces, and all that passed is in the sum.
func TestManyInterfacesStayBounded(t *testing.T) {
	a, _ := newTest()
	for i := range uint32(10_000) {
		slot := a.Open(opened("192.0.2.10", "203.0.113.9", 1),
			flow.Path{flow.NewHop(10+i, false), toWAN})
		a.Count(slot, moved(100, 0), at(2))
		a.Close(slot)
	}
	received, rest := uint64(0), uint64(0)
	all := a.Snapshot(at(3)).Interfaces
	for _, i := range all {
		received += i.Received
		if i.Index == OtherInterfaces {
			rest = i.Received
		}
	}
	if len(all) != maxInterfaces || received != 10_000*100 || rest == 0 {
		t.Errorf("%d interfaces, %d B received, %d B by others", len(all), received, rest)
	}
}

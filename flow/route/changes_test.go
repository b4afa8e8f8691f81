package route

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// TestOwnChangeAmongOthers: a connection's own changes are found among others that don't
// concern it.
func TestOwnChangeAmongOthers(t *testing.T) {
	e := connection{from: client, to: server, as: "198.51.100.1"}.event()
	before, now := flow.Path{3, 4}, flow.Path{3, 5}
	at := func(network string) scope { return scope{to: parsePrefix(network)} }
	for name, c := range map[string]struct {
		scope
		concerns bool
	}{
		"its destination":    {at("192.0.2.0/24"), true},
		"its source":         {at("192.168.77.10/32"), true},
		"as it is shown":     {at("198.51.100.0/30"), true},
		"a default route":    {at("0.0.0.0/0"), true},
		"another network":    {at("192.0.3.0/24"), false},
		"IPv6":               {at("2001:db8::/32"), false},
		"the interface left": {scope{device: 4}, true},
		"the one taken":      {scope{device: 5}, true},
		"another interface":  {scope{device: 6}, false},
		"rules":              {scope{}, true},
	} {
		var l changeLog
		for i := range int64(100) {
			l.add(change{at("10.0.0.0/8"), uint32(i), i})
		}
		l.add(change{c.scope, 100, 100})
		l.add(change{scope{device: 9}, 101, 101})
		want := [2]int64{}
		if c.concerns {
			want = [2]int64{100, 100}
		}
		for _, version := range []uint32{50, 99} {
			if first, last := l.between(version, e, before, now); [2]int64{first, last} != want {
				t.Errorf("%s: %d to %d, want %v", name, first, last, want)
			}
		}
		if first, last := l.between(100, e, before, now); first != 0 || last != 0 {
			t.Errorf("%s: %d to %d after all", name, first, last)
		}
	}
}

// TestForgottenChangesCountAsOwn: a forgotten change counts as one that concerns the connection.
func TestForgottenChangesCountAsOwn(t *testing.T) {
	var l changeLog
	e := connection{from: client, to: server}.event()
	for i := range int64(2 * mostChanges) {
		l.add(change{scope{to: parsePrefix("10.0.0.0/8")}, uint32(i), i})
	}
	if len(l.all) != mostChanges {
		t.Errorf("%d changes are kept", len(l.all))
	}
	if first, last := l.between(5, e); first != 0 || last != mostChanges-1 {
		t.Errorf("from %d to %d", first, last)
	}
	l.add(change{scope{}, 2 * mostChanges, 2 * mostChanges})
	l.add(change{scope{}, 2*mostChanges + 1, 2*mostChanges + 1})
	if first, last := l.between(mostChanges+5, e); first != 2*mostChanges ||
		last != 2*mostChanges+1 {
		t.Errorf("from %d to %d", first, last)
	}
}

// TestChangeIsNoted: notifications are remembered with the version that they become.
func TestChangeIsNoted(t *testing.T) {
	k := smallKernel()
	l := k.open(t, Options{})
	e := connection{from: client, to: server}.event()
	version := l.Version()
	before := l.Path(e)
	k.routes("192.168.77.", 3, 5)
	for range 50 {
		k.events <- routeMessage(unix.RTM_NEWROUTE, "10.0.0.0", 8, 4)
	}
	k.events <- linkMessage(unix.RTM_NEWLINK, 9, "wg0")
	await(t, "wg0 never came", func() bool { _, ok := l.Index("wg0"); return ok })
	now := l.Path(e)
	if first, last := l.Changed(version, e, before, now); first != 0 || last != 0 {
		t.Errorf("changed at %d, %d by other routes", first, last)
	}
	k.events <- routeMessage(unix.RTM_NEWROUTE, "192.0.2.0", 24, 5)
	await(t, "no change is known", func() bool {
		first, _ := l.Changed(version, e, before, now)
		return first != 0
	})
	first, last := l.Changed(version, e, before, now)
	if now := conntrack.SystemClock()().Mono; first != last || first > now {
		t.Errorf("changed at %d, %d; it is %d", first, last, now)
	}
}

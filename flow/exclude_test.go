package flow

import (
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// marked leaves out what has a mark, and counts how often it is asked.
type marked struct{ asked int }

func (m *marked) skip(e *conntrack.Event) bool {
	m.asked++
	return e.Mark != 0
}

func markedOptions() (Options, *marked) {
	o, m := testOptions(), new(marked)
	o.Exclude = m.skip
	return o, m
}

func TestExcludeIsCalledOncePerConnection(t *testing.T) {
	for _, mark := range []uint32{0, 1} {
		o, m := markedOptions()
		h := running(t, o)
		e := h.entry(conntrack.ProtoUDP)
		e.Mark = mark
		for range 5 {
			moves(e)
			h.pass(10 * time.Second)
			h.dump(e)
			e.Mark = 1 - mark // comes too late
		}
		h.expire(e, h.now.Wall)
		if got := bytesOf(h.take()); got != 5*1100*uint64(1-mark) || m.asked != 1 {
			t.Errorf("mark %d: %d bytes, asked %d times", mark, got, m.asked)
		}
	}
}

// What no dump has shown is judged at its end.
func TestShortLivedIsExcluded(t *testing.T) {
	for _, mark := range []uint32{0, 1} {
		o, _ := markedOptions()
		h := running(t, o)
		e := h.entry(conntrack.ProtoUDP)
		e.Mark = mark
		moves(e)
		h.expire(e, h.now.Wall)
		if got := bytesOf(h.take()); got != 1100*uint64(1-mark) ||
			h.table.Stats.Excluded.Load() != uint64(mark) {
			t.Errorf("mark %d: %d bytes, ignored %d", mark, got, h.table.Stats.Excluded.Load())
		}
	}
}

// What was left out is forgotten when it is gone: the table stays bounded.
func TestExclusionsAreForgottenAndBounded(t *testing.T) {
	o, _ := markedOptions()
	h := running(t, o)
	e := h.entry(conntrack.ProtoUDP)
	e.Mark = 1
	for range 3 {
		h.dump(e)
		if h.table.excluded.current.len()+h.table.excluded.previous.len() != 1 {
			t.Error("forgotten while it lives")
		}
	}
	h.dump()
	if h.table.excluded.current.len()+h.table.excluded.previous.len() != 0 {
		t.Error("not forgotten")
	}
	for i := range uint64(2 * maxExcluded) {
		h.table.excluded.add(i)
	}
	if n := h.table.excluded.current.len(); n > maxExcluded {
		t.Errorf("%d are remembered", n)
	}
}

// excluded returns a table that leaves out an entry, which it was shown.
func excluded(t *testing.T) (*harness, *conntrack.Event) {
	t.Helper()
	o, _ := markedOptions()
	h := running(t, o)
	e := h.entry(conntrack.ProtoUDP)
	e.Mark = 1
	moves(e)
	h.dump(e)
	return h, e
}

// Of a connection that is included from now on, only what moves from now on counts.
func TestReconfigureIncludesFromNowOn(t *testing.T) {
	h, e := excluded(t)

	h.table.Reconfigure(testOptions())
	moves(e)
	h.pass(time.Second)
	h.dump(e) // not before this one
	if got := h.take(); len(got) != 0 {
		t.Errorf("counted from the time before: %+v", got)
	}
	for range 3 {
		moves(e)
		h.pass(time.Second)
		h.dump(e)
	}
	h.expire(e, h.now.Wall)
	if got := bytesOf(h.take()); got != 3*1100 {
		t.Errorf("%d bytes after it was included", got)
	}
}

// What ends before it could be read under the new options stays out.
func TestConnectionExcludedUntilItsEndIsNotExported(t *testing.T) {
	h, e := excluded(t)
	h.table.Reconfigure(testOptions())
	h.table.Reconfigure(testOptions()) // a second time forgets nothing
	h.expire(e, h.now.Wall)
	if got := h.take(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// Of a connection that is left out from now on, what it had moved is exported.
func TestReconfigureExcludesFlows(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	e.Mark = 1
	moves(e)
	h.dump(e)
	if got := h.take(); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	o, m := markedOptions()
	h.table.Reconfigure(o)
	for range 3 {
		moves(e)
		h.pass(10 * time.Second)
		h.dump(e)
	}
	got := h.take()
	if bytesOf(got) != 1100 || len(got) != 2 || got[0].EndReason != EndForced {
		t.Errorf("%+v", got)
	}
	h.expire(e, h.now.Wall)
	if got := h.take(); len(got) != 0 || h.table.Stats.Flows.Load() != 0 || m.asked != 1 {
		t.Errorf("%+v, %d flows, asked %d times", got, h.table.Stats.Flows.Load(), m.asked)
	}
}

// The end of its translation is exported, too.
func TestReconfigureEndsTranslationsOfExcludedFlows(t *testing.T) {
	h := natHarness(t)
	e := h.masqueraded(conntrack.ProtoUDP)
	e.Mark = 1
	h.dump(e)
	o, _ := markedOptions()
	o.NATEvents = true
	h.table.Reconfigure(o)
	h.pass(10 * time.Second)
	h.dump(e)
	h.expire(e, h.now.Wall)
	want := []string{"began 0s" + masquerade, "ended 10s" + masquerade}
	if got := natEvents(h.take()); !slices.Equal(got, want) {
		t.Errorf("got\n     %q\nwant %q", got, want)
	}
}

// A flow that stays loses nothing and repeats nothing, with whatever options.
func TestReconfigureKeepsOtherFlows(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	want := uint64(0)
	for i := range 20 {
		moves(e)
		want += 1100
		h.pass(10 * time.Second)
		h.dump(e)
		o, _ := markedOptions()
		o.Active, o.Idle = time.Duration(1+i)*10*time.Second, time.Duration(1+i%3)*time.Second
		if i%3 == 0 {
			o.NAT = Wire
		}
		h.table.Reconfigure(o)
	}
	h.expire(e, h.now.Wall)
	if got := bytesOf(h.take()); got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
}

// Exclude is called once more for a flow that stays.
func TestReconfigureCallsExcludeOncePerConnection(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	h.dump(e)
	o, m := markedOptions()
	h.table.Reconfigure(o)
	for range 5 {
		h.dump(e)
	}
	if m.asked != 1 {
		t.Errorf("asked %d times", m.asked)
	}
}

// A changed timeout holds from the next dump on.
func TestReconfigureChangesTimeouts(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	step := func() []Record {
		moves(e)
		h.pass(10 * time.Second)
		h.dump(e)
		return h.take()
	}
	if got := step(); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	o := testOptions()
	o.Active = 10 * time.Second
	h.table.Reconfigure(o)
	if got := step(); len(got) != 2 || got[0].EndReason != EndActive {
		t.Errorf("%+v", got)
	}
}

// TestLoopbackIsExcludedUnlessTranslatedAway judges by both tuples: what is translated away
// from loopback leaves the host.
func TestLoopbackIsExcludedUnlessTranslatedAway(t *testing.T) {
	const lo, lan, other, box, out = "127.0.0.1:1000", "192.0.2.1:80", "192.0.2.9:80",
		"172.17.0.2:80", "172.17.0.1:2000"
	for _, c := range []struct {
		name        string
		orig, reply [2]string // from, to
		counts      bool
	}{
		{"loopback", [2]string{lo, "127.0.0.1:80"}, [2]string{"127.0.0.1:80", lo}, false},
		{"IPv6 loopback", [2]string{"[::1]:1000", "[::1]:80"}, [2]string{"[::1]:80", "[::1]:1000"},
			false},
		{"loopback to an own address", [2]string{lo, lan}, [2]string{lan, lo}, false},
		{"an own address to itself", [2]string{lan, "192.0.2.1:443"},
			[2]string{"192.0.2.1:443", lan}, false},
		{"redirected within loopback", [2]string{lo, "127.0.0.1:80"},
			[2]string{"127.0.0.53:8080", lo}, false},
		{"an own address, redirected to loopback", [2]string{lan, "192.0.2.1:443"},
			[2]string{"127.0.0.1:8443", lan}, false},
		{"loopback, both ends translated to one address", [2]string{lo, "127.0.0.1:80"},
			[2]string{lan, "192.0.2.1:2000"}, false},
		{"a container's published port", [2]string{lo, "127.0.0.1:8080"}, [2]string{box, out},
			true},
		{"the same without masquerading", [2]string{lo, "127.0.0.1:8080"}, [2]string{box, lo},
			true},
		{"by the own address", [2]string{lan, "192.0.2.1:8080"}, [2]string{box, out}, true},
		{"by IPv6", [2]string{"[::1]:1000", "[::1]:8080"},
			[2]string{"[fd00::2]:80", "[fd00::1]:2000"}, true},
		{"from loopback to another host", [2]string{lo, other}, [2]string{other, lan}, true},
		{"another host, redirected to loopback", [2]string{other, lan}, [2]string{lo, other}, true},
		{"a host to itself through the router", [2]string{other, lan}, [2]string{other, lan}, true},
	} {
		for _, short := range []bool{false, true} {
			h := running(t, testOptions())
			e := h.entry(conntrack.ProtoUDP)
			e.Orig, e.Reply = tuple(conntrack.ProtoUDP, c.orig[0], c.orig[1]),
				tuple(conntrack.ProtoUDP, c.reply[0], c.reply[1])
			moves(e)
			if !short {
				h.dump(e)
			}
			h.expire(e, h.now.Wall)
			if got := bytesOf(h.take()) > 0; got != c.counts {
				t.Errorf("%s, short-lived %t: counts %t", c.name, short, got)
			}
		}
	}
}

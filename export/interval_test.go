package export

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestTemplatesAreSentAtTheirInterval: templates and option data arrive at the collector's
// interval, to the second, whether there are records or not; others' intervals don't matter.
func TestTemplatesAreSentAtTheirInterval(t *testing.T) {
	for _, p := range protocols {
		for _, interval := range []time.Duration{
			0, time.Second, 5 * time.Second, 5 * time.Minute, 24 * time.Hour,
		} {
			for _, busy := range []bool{false, true} {
				t.Run(fmt.Sprint(p, " ", interval, " ", busy), func(t *testing.T) {
					checkInterval(t, p, interval, busy)
				})
			}
		}
	}
}

func checkInterval(t *testing.T, p Protocol, interval time.Duration, busy bool) {
	clock, l, other := newFakeClock(), listen4(t), listen4(t)
	e := &Exporter{}
	for _, config := range []CollectorConfig{
		{Address: l.address().String(), Protocol: p, TemplateInterval: interval},
		{Address: other.address().String(), Protocol: p},
	} {
		c := NewCollector(config, clock.now)
		if err := c.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.Collectors = append(e.Collectors, c)
	}
	t.Cleanup(func() { e.Close(clock.now()) })
	want := cmp.Or(interval, time.Minute)
	step := max(want/20, 500*time.Millisecond)
	var times []int64
	for end := int64(3*want + step); clock.at.Mono < end; clock.advance(step) {
		e.Tick(t.Context(), clock.now())
		if busy {
			r := sample(0, clock.at.Wall)
			exportAllNow(e, &r)
			e.Flush(clock.now())
		}
		seen := len(l.messages)
		l.drain(t)
		for _, b := range l.messages[seen:] {
			if !hasTemplates(t, p, b) {
				continue
			}
			times = append(times, clock.at.Mono)
			if n := len(setIDs(t, b)); n != 1+optionTemplates+optionRecords {
				t.Errorf("%d sets with the templates", n)
			}
		}
		other.drain(t)
	}
	at := []int64{0, int64(want), int64(2 * want), int64(3 * want)}
	if !slices.Equal(times, at) {
		t.Errorf("templates came at %v, want %v", times, at)
	}
}

// TestRouteIsCheckedWithoutTemplates: however rarely templates are sent, a failover is found within
// a minute.
func TestRouteIsCheckedWithoutTemplates(t *testing.T) {
	u, clock, f := newUplinks(t), newFakeClock(), family4
	u.ip(u.router, "route add default via "+f.via0)
	c, far, err := u.bound(f, CollectorConfig{TemplateInterval: 24 * time.Hour}, clock)
	if err != nil {
		t.Fatal(err)
	}
	tick := func() {
		u.do(u.router, func() error { c.tick(t.Context(), clock.now()); return nil })
	}
	tick()
	far.receive(t)
	u.ip(u.router, "route delete default via "+f.via0+"\n route add default via "+f.via1)
	if due := c.due(); due != clock.at.Mono+int64(time.Minute) {
		t.Errorf("due in %v", time.Duration(due-clock.at.Mono))
	}
	clock.advance(time.Minute)
	tick()
	if !c.broken {
		t.Error("the route has changed unnoticed")
	}
	far.drain(t)
	if len(far.messages) != 1 {
		t.Errorf("%d messages, want the first alone", len(far.messages))
	}
}

package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/kernel"
)

// attach loads the program by the first of steps that works: a test connection's end is reported,
// and correctly. The error tells what is missing.
func attach(steps []Step, of sizes, clock conntrack.Clock) (*ends, error) {
	if !isLoaded() {
		return nil, ErrNotLoaded
	}
	// This has to work before anything is loaded, which takes long.
	if _, err := kernel.EndConnection(); err != nil {
		return nil, tracked(err)
	}
	netns, err := ownNamespace()
	if err != nil {
		return nil, err
	}
	var failed []error
	loader := newLoader()
	for _, step := range steps {
		e, err := loader.load(step, netns, of)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", step, err))
			continue
		}
		if err = e.test(clock); err == nil {
			return e, nil
		}
		e.close()
		failed = append(failed, fmt.Errorf("%s: %w", step, err))
	}
	return nil, explain(failed)
}

func tracked(err error) error {
	if errors.Is(err, kernel.ErrNotTracked) {
		return ErrNotTracked
	}
	return err
}

// testPatience is how long the end of the test connection may take.
const testPatience = time.Second

// test proves that ends are reported. What else is in the ring is dropped: netlink reports it, too.
func (e *ends) test(clock conntrack.Clock) error {
	self, err := kernel.EndConnection()
	if err != nil {
		return tracked(err)
	}
	var own, got conntrack.Event
	hz, found := jiffies(), false
	for due := clock().Mono + int64(testPatience); !found; {
		all := e.ring.begin()
		for more := true; more; {
			if r := all.next(); r == nil {
				more = all.skip()
			} else if r.read(hz, &got) && isOf(&got, self) {
				own, found = got, true
			}
		}
		all.done()
		left := due - clock().Mono
		if found || left <= 0 {
			break
		}
		if err := e.wait(time.Duration(left)); err != nil {
			return err
		}
	}
	if !found {
		return ErrSilent
	}
	e.takeLost()
	return checkTest(&own, clock())
}

func isOf(e *conntrack.Event, self netip.AddrPort) bool {
	t, a := &e.Orig, conntrack.AddrFrom(self.Addr())
	return t.Src == a && t.Dst == a && t.SrcPort == self.Port() && t.DstPort == self.Port() &&
		t.Proto == conntrack.ProtoUDP
}

// stampSlack is how far the time stamps of the test connection may be from now.
const stampSlack = 5 * time.Second

// loopback is the ifIndex of lo in every network namespace (LOOPBACK_IFINDEX).
const loopback = 1

// checkTest checks what was reported of the test connection: an IPv4 header, UDP's and one byte.
func checkTest(e *conntrack.Event, now conntrack.Timestamp) error {
	want := conntrack.Counters{Packets: 1, Bytes: 20 + 8 + 1}
	const status = conntrack.Confirmed | conntrack.Dying
	recent := func(at int64) bool {
		d := time.Duration(now.Wall - at)
		return -stampSlack < d && d < stampSlack
	}
	first := conntrack.FirstPacket{Known: true, Output: loopback}
	switch {
	case e.First != first:
		return fmt.Errorf("%w: first packet %+v", ErrWrong, e.First)
	case e.Counted && e.Counters != [2]conntrack.Counters{want, {}}:
		return fmt.Errorf("%w: counters %v", ErrWrong, e.Counters)
	case e.Status&status != status:
		return fmt.Errorf("%w: status %#x", ErrWrong, uint32(e.Status))
	case e.Start != 0 && (!recent(e.Start) || !recent(e.Stop)):
		return fmt.Errorf("%w: from %d to %d", ErrWrong, e.Start, e.Stop)
	case e.Reply.Src != e.Orig.Dst || e.Reply.DstPort != e.Orig.SrcPort:
		return fmt.Errorf("%w: reply %v", ErrWrong, e.Reply)
	}
	return nil
}

// Try loads and tests the programs as Attach does, and unloads them. It returns the step that works,
// and why living entries can't be read by a walk; nil if they can.
func Try(clock conntrack.Clock) (step Step, walkErr, err error) {
	e, err := attach(Steps(), sizesFor(0, 0), clock)
	if err != nil {
		return Netlink, nil, err
	}
	e.close()
	return e.step, e.walkErr, nil
}

package export

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const patience = time.Minute // only against hanging

// TestSilentHostIsNoticed: only this machine's kernel reports that no host answers its ARP requests
// or neighbour solicitations. What was sent there is counted as dropped.
func TestSilentHostIsNoticed(t *testing.T) {
	for _, address := range []string{"192.168.77.99:2055", "[2001:db8:77::99]:2055"} {
		for _, p := range protocols {
			t.Run(address+" "+p.String(), func(t *testing.T) {
				t.Parallel()
				l, clock := newNarrow(t), newFakeClock()
				c := NewCollector(CollectorConfig{Address: address, Protocol: p}, clock.now)
				if err := l.Client.Do(func() error { return c.Open(t.Context()) }); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close(clock.now()) })
				r := sample(0, clock.at.Wall)
				for range 3 {
					exportNow(c, &r)
					c.send(clock.now())
				}
				for deadline := time.Now().Add(
					patience,
				); c.Stats.LostFlows.Load() < 3; time.Sleep(10 * time.Millisecond) {
					_ = c.Failure(clock.now())
					if time.Now().After(deadline) {
						t.Fatalf("%d of 3 flows are known to be lost", c.Stats.LostFlows.Load())
					}
				}
				if err := c.Failure(clock.now()); !errors.Is(err, unix.EHOSTUNREACH) {
					t.Errorf("fails with %v", err)
				}
				if s := &c.Stats; s.LostFlows.Load() != 3 || s.LostOctets.Load() != 3*r.Bytes ||
					s.SendErrors.Load() != 0 {
					t.Errorf("lost %d flows, %d octets; %d errors",
						s.LostFlows.Load(), s.LostOctets.Load(), s.SendErrors.Load())
				}
			})
		}
	}
}

// TestFailureWithoutSocket proves that Failure returns why the name can't be resolved, or no socket
// be opened.
func TestFailureWithoutSocket(t *testing.T) {
	clock := newFakeClock()
	c := NewCollector(CollectorConfig{Address: "127.0.0.1:nonsense", Protocol: IPFIX}, clock.now)
	if c.Open(t.Context()) == nil || c.Failure(clock.now()) == nil {
		t.Error("no failure")
	}
	clock.advance(time.Hour)
	if c.Failure(clock.now()) == nil {
		t.Error("recovered without a socket")
	}
}

// TestClosedWhileDialling proves that no socket stays open.
func TestClosedWhileDialling(t *testing.T) {
	clock := newFakeClock()
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := NewCollector(CollectorConfig{Address: "127.0.0.1:9", Protocol: IPFIX}, clock.now)
	ended := false
	c.redialer.dialing, c.redialer.cancel = true, func() { ended = true }
	e := &Exporter{Collectors: []*Collector{c}}
	e.Replace(nil, clock.now())
	if !ended {
		t.Error("the search goes on")
	}
	c.redialer.results <- dialResult{conn: conn}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if err := conn.SetDeadline(time.Time{}); errors.Is(err, net.ErrClosed) ||
			errors.Is(err, os.ErrClosed) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("what the search has found is open")
		}
	}
}

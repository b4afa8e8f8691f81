package traffic_test

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/bench/traffic"
)

func newLab(t *testing.T) *lab.Lab {
	t.Helper()
	l := labtest.New(t, lab.Options{
		BehindClient: []netip.Prefix{traffic.ClientNetwork()},
		BehindServer: []netip.Prefix{traffic.RemoteNetwork()},
		Deaf:         true,
	})
	return l
}

// TestSender: all that is sent is forwarded, both ways, each packet within a flow
// that conntrack takes for valid, and the ledger knows it all.
func TestSender(t *testing.T) {
	l := newLab(t)
	const length = 300 * time.Millisecond
	home, steady := traffic.NewHome(1, length), &traffic.Steady{
		Rate: 20_000, Ring: 50, PerFlow: 5, Up: 60, Down: 1400, First: 100_000, Length: length,
	}
	ledger := traffic.NewLedger(steady.First + steady.Flows())
	send(t, l, home, ledger)
	send(t, l, steady, ledger)

	forwarded, err := l.Forwarded()
	if err != nil {
		t.Fatal(err)
	}
	var got, flows traffic.Sum
	for _, proto := range []uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		count := forwarded[lab.Class{Family: unix.AF_INET, Proto: proto}]
		got.Packets, got.Bytes = got.Packets+count.Packets, got.Bytes+count.Bytes
	}
	for _, a := range ledger.Flows {
		flows.Packets += a.Up.Packets + a.Down.Packets
		flows.Bytes += a.Up.Bytes + a.Down.Bytes
	}
	if got != ledger.Total || flows != ledger.Total || got.Packets < 6000 {
		t.Errorf("sent %+v, of flows %+v, forwarded %+v", ledger.Total, flows, got)
	}
	if stray, err := l.Stray(); err != nil || stray != (lab.Count{}) {
		t.Errorf("stray %+v, %v", stray, err)
	}
}

func send(t *testing.T, l *lab.Lab, src traffic.Source, ledger *traffic.Ledger) {
	t.Helper()
	s, err := traffic.NewSender(l)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	done := make(chan error)
	go func() { done <- s.Run(t.Context(), src, ledger, time.Now(), time.Minute, -1) }()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

package main

import (
	"regexp"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow"
)

// direction returns the flows of one connection in one direction.
func direction(flows []decode.Flow, src string, port uint16) (found []decode.Flow) {
	for _, f := range flows {
		if f.Src.String() == src && f.SrcPort == port {
			found = append(found, f)
		}
	}
	return found
}

func toPort(flows []decode.Flow, dst string, port uint16) (found []decode.Flow) {
	for _, f := range flows {
		if f.Dst.String() == dst && f.DstPort == port {
			found = append(found, f)
		}
	}
	return found
}

func sum(flows []decode.Flow) (c lab.Count) {
	for _, f := range flows {
		c.Packets += f.Packets
		c.Bytes += f.Bytes
	}
	return c
}

func reasons(flows []decode.Flow) (rs []flow.EndReason) {
	for _, f := range flows {
		rs = append(rs, flow.EndReason(f.EndReason))
	}
	return rs
}

func (r *rig) forwarded(c lab.Class) lab.Count {
	r.t.Helper()
	m, err := r.Settle(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	return m[c]
}

func tcp4() lab.Class { return lab.Class{Family: unix.AF_INET, Proto: unix.IPPROTO_TCP} }
func udp4() lab.Class { return lab.Class{Family: unix.AF_INET, Proto: unix.IPPROTO_UDP} }

// TestActiveTimeoutSplitsWithoutGap: the records of a long transfer follow each other without
// a gap and add up to it.
func TestActiveTimeoutSplitsWithoutGap(t *testing.T) {
	t.Parallel()
	const seconds, active = 30, 5
	r := newRig(t, nil)
	s := r.sink()
	p := r.probe("--collector", s.Address(), "--active-timeout", "5s", "--poll-interval", "1s")
	const rate = 200_000
	conn, err := r.TCP(r.ctx, lab.TCPFlow{Family: unix.AF_INET, Down: seconds * rate, Rate: rate,
		End: lab.FIN})
	if err != nil {
		t.Fatal(err)
	}
	ended := func(flows []decode.Flow) bool {
		rs := reasons(direction(flows, lab.ClientIPv4, conn.LocalPort))
		return len(rs) > 0 && rs[len(rs)-1] != flow.EndActive
	}
	s.until("the end of the transfer", ended)
	r.stop(p)
	flows := s.all()

	up := direction(flows, lab.ClientIPv4, conn.LocalPort)
	down := toPort(flows, lab.ClientIPv4, conn.LocalPort)
	for name, records := range map[string][]decode.Flow{"up": up, "down": down} {
		if n := len(records); n < seconds/active || n > seconds/active+2 {
			t.Errorf("%s: %d records of a transfer of %d s", name, n, seconds)
		}
		for i, f := range records {
			want := flow.EndActive
			if i == len(records)-1 {
				want = flow.EndDetected
			}
			if flow.EndReason(f.EndReason) != want {
				t.Errorf("%s: record %d ends for reason %d, want %d", name, i, f.EndReason, want)
			}
			if i > 0 && !f.Start.Equal(records[i-1].End) {
				t.Errorf("%s: record %d starts at %v, the one before ends at %v", name, i, f.Start,
					records[i-1].End)
			}
		}
	}
	if got, want := sum(append(up, down...)), r.forwarded(tcp4()); got != want {
		t.Errorf("records add up to %v, the router forwarded %v", got, want)
	}
}

// TestIdleConnectionIsExportedAndResumes: what an open connection has moved is exported soon
// after it becomes idle, and what it moves later in further records.
func TestIdleConnectionIsExportedAndResumes(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	s := r.sink()
	p := r.probe("--collector", s.Address(), "--idle-timeout", "3s", "--poll-interval", "1s")
	conn, err := r.TCP(r.ctx, lab.TCPFlow{Family: unix.AF_INET, Up: 1000, Down: 50_000,
		End: lab.Open})
	if err != nil {
		t.Fatal(err)
	}
	quiet := time.Now()
	first := s.until("the idle connection", func(f []decode.Flow) bool { return len(f) >= 2 })
	late := time.Since(quiet)
	if want := r.forwarded(tcp4()); sum(first) != want {
		t.Errorf("idle records hold %v, the router forwarded %v", sum(first), want)
	}
	// Not asserted: a machine may be slow. Idle timeout, a poll, the delay of a message.
	t.Logf("arrived %v after the last packet, want about 3 s to 3+1+1 s",
		late.Round(time.Millisecond))

	if err := conn.Send(r.ctx, 700, 900); err != nil {
		t.Fatal(err)
	}
	both := s.until("the connection that spoke again",
		func(f []decode.Flow) bool { return len(f) >= 4 })
	r.stop(p)
	if rs := reasons(both); len(rs) != 4 || rs[0] != flow.EndIdle || rs[2] != flow.EndIdle {
		t.Errorf("reasons %v, want four times idle", rs)
	}
	if both[2].Start.Before(both[0].End) {
		t.Errorf("the second record starts at %v, before the first ends at %v", both[2].Start,
			both[0].End)
	}
	if got, want := sum(s.all()), r.forwarded(tcp4()); got != want {
		t.Errorf("records add up to %v, the router forwarded %v", got, want)
	}
}

// TestPreexistingConnectionCountsFromStart: of a connection older than the probe, only what it
// moves from then on counts.
func TestPreexistingConnectionCountsFromStart(t *testing.T) {
	t.Parallel()
	for name, sysctls := range map[string]map[string]string{
		"with time stamps": {"net/netfilter/nf_conntrack_acct": "1",
			"net/netfilter/nf_conntrack_timestamp": "1"},
		"without": {"net/netfilter/nf_conntrack_acct": "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, sysctls)
			conn, err := r.TCP(r.ctx, lab.TCPFlow{Family: unix.AF_INET, Up: 5000, Down: 1 << 20,
				End: lab.Open})
			if err != nil {
				t.Fatal(err)
			}
			before := r.forwarded(tcp4())
			s := r.sink()
			p := r.probe("--collector", s.Address(), "--poll-interval", "500ms", "--idle-timeout",
				"1s")
			if err := conn.Send(r.ctx, 0, 30_000); err != nil {
				t.Fatal(err)
			}
			s.until("what it moved", func(f []decode.Flow) bool { return len(f) >= 2 })
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			after := r.forwarded(tcp4())
			r.stop(p)
			want := lab.Count{Packets: after.Packets - before.Packets,
				Bytes: after.Bytes - before.Bytes}
			if got := sum(s.all()); got != want {
				t.Errorf("counted %v, moved since the probe started: %v (before: %v)", got, want,
					before)
			}
		})
	}
}

// TestExpiredFlowEndsWithLastPacket: not when the kernel destroys the entry.
func TestExpiredFlowEndsWithLastPacket(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"net/netfilter/nf_conntrack_udp_timeout": "5"})
	s := r.sink()
	p := r.probe("--collector", s.Address(), "--poll-interval", "1s", "--idle-timeout", "60s")
	sent := time.Now()
	if err := r.UDP(r.ctx, lab.UDPFlow{Family: unix.AF_INET, Packets: 1, Size: 64}); err != nil {
		t.Fatal(err)
	}
	f := s.until("the flow", func(f []decode.Flow) bool { return len(f) > 0 })[0]
	r.stop(p)
	if off := f.End.Sub(sent).Abs(); off > time.Second {
		t.Errorf("ends %v off the only packet", off)
	}
	if off := f.Start.Sub(sent).Abs(); off > time.Second {
		t.Errorf("starts %v off the only packet", off)
	}
	if flow.EndReason(f.EndReason) != flow.EndIdle || f.Packets != 1 || f.Bytes != 64+28 {
		t.Errorf("got %+v", f)
	}
}

// TestSIGTERMExportsPendingFlows: before the process ends.
func TestSIGTERMExportsPendingFlows(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	s := r.sink()
	p := r.probe("--collector", s.Address(), "--poll-interval", "1h")
	_, err := r.TCP(r.ctx, lab.TCPFlow{Family: unix.AF_INET, Up: 1000, Down: 50_000, End: lab.Open})
	if err != nil {
		t.Fatal(err)
	}
	err = r.UDP(r.ctx, lab.UDPFlow{Family: unix.AF_INET, Packets: 3, Size: 64, Answered: true})
	if err != nil {
		t.Fatal(err)
	}
	forwardedTCP, forwardedUDP := r.forwarded(tcp4()), r.forwarded(udp4())
	r.stop(p)
	sums := sumFlows(s.all())
	if sums[tcp4()] != forwardedTCP || sums[udp4()] != forwardedUDP {
		t.Errorf("exported %v, forwarded tcp %v and udp %v", sums, forwardedTCP, forwardedUDP)
	}
	for _, f := range s.flows {
		if flow.EndReason(f.EndReason) != flow.EndForced {
			t.Errorf("reason %d, want forced: %+v", f.EndReason, f)
		}
	}
}

// TestSIGTERMLogsLosses: those since the last summary.
func TestSIGTERMLogsLosses(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	p := r.probe("--collector", "240.0.0.1:2055", "--poll-interval", "1h")
	_, err := r.TCP(r.ctx, lab.TCPFlow{Family: unix.AF_INET, Up: 1000, Down: 1000, End: lab.Open})
	if err != nil {
		t.Fatal(err)
	}
	r.stop(p)
	if !regexp.MustCompile(`WARN +stopped +.*"unsent_records": 2\b`).MatchString(p.String()) {
		t.Errorf("it says\n%s", p)
	}
}

package flow

import (
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

type endCase struct {
	proto, state uint8
	status       conntrack.Status
	stop         int64 // since the start, 0 = no time stamp
	timeout      uint32
	portid       uint32
	want         int64 // since the start
	reason       EndReason
}

func endCases() map[string]endCase {
	const (
		tcp, udp, icmp = conntrack.ProtoTCP, conntrack.ProtoUDP, conntrack.ProtoICMP
		s, last        = second, 40 * second // the last packet, since the start
	)
	return map[string]endCase{
		"UDP":               {udp, 0, 0, last + 30*s, 0, 0, last, EndIdle},
		"UDP stream":        {udp, 0, conntrack.Assured, last + 120*s, 0, 0, last, EndIdle},
		"timer ticks early": {udp, 0, 0, last + 30*s - s/100, 0, 0, last - s/100, EndIdle},
		"ICMP":              {icmp, 0, 0, last + 30*s, 0, 0, last, EndIdle},
		"unknown protocol":  {99, 0, 0, last + 600*s, 0, 0, last, EndIdle},
		"TCP closed by FIN": {tcp, conntrack.TCPTimeWait, 0, last + 120*s, 0, 0, last,
			EndDetected},
		"TCP closed by RST": {tcp, conntrack.TCPClose, 0, last + 10*s, 0, 0, last,
			EndDetected},
		"TCP half closed": {tcp, conntrack.TCPCloseWait, 0, last + 60*s, 0, 0, last,
			EndDetected},
		"TCP idle for days": {tcp, conntrack.TCPEstablished, 0, last + 432000*s, 0, 0, last,
			EndIdle},
		"TCP unacknowledged": {tcp, conntrack.TCPEstablished, 0, last + 300*s, 0, 0, last,
			EndIdle},
		"TCP never answered": {tcp, conntrack.TCPSynSent, 0, last + 120*s, 0, 0, last,
			EndIdle},
		"deleted by hand": {tcp, conntrack.TCPEstablished, 0, 55 * s, 431985, 99, 55 * s,
			EndForced},
		"replaced while TIME_WAIT": {tcp, conntrack.TCPTimeWait, 0, 60 * s, 100, 0, 40*s + s/2,
			EndDetected},
		"removed to make room":     {udp, 0, 0, 60 * s, 9, 0, 39*s + s/2, EndForced},
		"a timer not ours to know": {udp, 0, 0, last + 7777*s, 0, 0, 50 * s, EndIdle},
		"no time stamps":           {udp, 0, 0, 0, 0, 0, 50 * s, EndIdle},
	}
}

// An entry moves at its start, at 40 s and is read at 50 s; then it ends.
func TestRecordEndsAtLastPacket(t *testing.T) {
	for name, c := range endCases() {
		t.Run(name, func(t *testing.T) {
			o := testOptions()
			o.Active, o.Idle = time.Hour*24*30, time.Hour*24*30
			h := running(t, o)
			start := h.now
			e := h.entry(c.proto)
			e.Counters[0] = conntrack.Counters{Packets: 1, Bytes: 60}
			h.pass(50 * time.Second)
			e.Counters[0] = conntrack.Counters{Packets: 2, Bytes: 120}
			h.dump(e) // at 50 s, without a timer
			h.take()  // a closed one was exported already

			e.State, e.Status = c.state, c.status
			shown := *e
			shown.Type, shown.Portid = conntrack.Destroy, c.portid
			shown.Timeout, shown.HasTimeout = c.timeout, c.timeout != 0
			if c.stop != 0 {
				shown.Stop = start.Wall + c.stop
			}
			h.pass(time.Duration(max(c.stop, 60*second) - 50*second))
			if late := 20 * time.Second; c.timeout == 0 {
				h.pass(late) // the kernel notices an expiry late
			}
			shown.At = h.now
			h.table.Apply(&shown)
			got := h.take()
			if len(got) != 1 {
				t.Fatalf("%d records", len(got))
			}
			if end := got[0].End - start.Wall; end != c.want || got[0].EndReason != c.reason {
				t.Errorf("ends at %v for reason %d, want %v for %d",
					time.Duration(end), got[0].EndReason, time.Duration(c.want), c.reason)
			}
		})
	}
}

// The values of an end are not always plausible. An entry began at 0 and was read at 50 s.
func TestRecordEndsWithinItsReadings(t *testing.T) {
	const long = 432000 * second // of an established TCP connection
	cases := map[string]struct {
		proto      uint8
		hasTimer   bool // at 50 s: it shows 49 to 50 s
		moved      bool // since
		stop, read int64
		step       time.Duration // of the system clock, between the two
		removed    bool          // a second at most after a packet
		portid     uint32
		want       int64
	}{
		"timer ticks late": {conntrack.ProtoUDP, true, false, 80*second + second/100,
			90 * second, 0, false, 0, 50 * second},
		"before it moved": {conntrack.ProtoUDP, false, true, 58 * second, 60 * second,
			time.Hour, false, 0, 50 * second},
		"after it was read": {conntrack.ProtoUDP, false, true, 58 * second, 60 * second,
			-time.Hour, false, 0, 60 * second},
		"deleted before it moved": {conntrack.ProtoUDP, false, true, 58 * second, 60 * second,
			time.Hour, true, 99, 50 * second},
		"removed, and read late": {conntrack.ProtoUDP, false, true, 60 * second, 65 * second, 0,
			true, 0, 60 * second},
		"moved, no time stamps": {conntrack.ProtoUDP, true, true, 0, 60 * second, 0, false, 0,
			50 * second},
		"a timer from before moved": {conntrack.ProtoTCP, false, true, 40*second + long,
			60*second + long, 0, false, 0, 40*second + long - 300*second},
	}
	for name, c := range cases {
		o := testOptions()
		o.Active, o.Idle = time.Hour*24*30, time.Hour*24*30
		h := running(t, o)
		began, e := h.now.Mono, h.entry(c.proto)
		stop := h.now.Wall + c.stop
		moves(e)
		h.pass(50 * time.Second)
		e.Timeout, e.HasTimeout = 29, c.hasTimer
		h.dump(e)
		if c.moved {
			moves(e)
		}
		if e.Stop = stop; c.stop == 0 {
			e.Stop = 0
		}
		h.pass(time.Duration(c.read - 50*second))
		h.now.Wall += int64(c.step)
		e.HasTimeout, e.Portid = c.removed, c.portid
		h.end(e)
		if end := toMono(h.take2(0).End, h.now) - began; end != c.want {
			t.Errorf("%s: ends at %v, want %v", name, time.Duration(end), time.Duration(c.want))
		}
	}
}

// Nor are those of a beginning: by its timer, which ticks, the only packet may have come
// before it, and by its timestamp it may lie in the future.
func TestStartIsWithinDumpInterval(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	moves(e)
	h.pass(40 * time.Second)
	h.expire(e, epoch+30*second-second/100)
	if r := h.take2(0); r.Start != epoch || r.End != epoch {
		t.Errorf("from %d to %d, want %d", r.Start, r.End, epoch)
	}
	h.take()
	e.Start = h.now.Wall + 3600*second
	h.live(e)
	h.expire(e, h.now.Wall)
	if r := h.take2(0); r.Start != h.now.Wall || r.End != h.now.Wall {
		t.Errorf("from %d to %d, want %d", r.Start, r.End, h.now.Wall)
	}
}

// Why an entry ended: it expired, it was removed before its time, or a program, of
// number 99, deleted it.
func TestEndReasons(t *testing.T) {
	const sctp, dccp, tcp, udp = conntrack.ProtoSCTP, conntrack.ProtoDCCP, conntrack.ProtoTCP,
		conntrack.ProtoUDP
	cases := []struct {
		name                     string
		proto                    uint8
		from, to                 uint8 // states
		expired, removed, killed EndReason
	}{
		{"UDP", udp, 0, 0, EndIdle, EndForced, EndForced},
		{"TCP refused", tcp, conntrack.TCPSynSent, conntrack.TCPSynSent, EndIdle, EndDetected,
			EndForced},
		{"TCP open", tcp, conntrack.TCPSynRecv, conntrack.TCPEstablished, EndIdle, EndForced,
			EndForced},
		{"TCP closed", tcp, conntrack.TCPFinWait, conntrack.TCPClose, EndDetected, EndDetected,
			EndForced},
		{"SCTP closed", sctp, 1, 1, EndDetected, EndDetected, EndForced},
		{"SCTP open", sctp, 2, 4, EndIdle, EndForced, EndForced},
		{"SCTP shut down", sctp, 5, 7, EndDetected, EndDetected, EndForced},
		{"SCTP heartbeat", sctp, 8, 8, EndIdle, EndForced, EndForced},
		{"DCCP open", dccp, 1, 4, EndIdle, EndForced, EndForced},
		{"DCCP closed", dccp, 5, 7, EndDetected, EndDetected, EndForced},
	}
	for _, c := range cases {
		for state := c.from; state <= c.to; state++ {
			e := conntrack.Event{State: state, Orig: conntrack.Tuple{Proto: c.proto}}
			moves(&e)
			removed, killed, silent := e, e, e
			removed.HasTimeout = true
			killed.HasTimeout, killed.Portid = true, 99
			silent.Portid = 99 // Linux 5.10 reports no timeout
			got := [...]EndReason{reasonOf(&e), reasonOf(&removed), reasonOf(&killed),
				reasonOf(&silent)}
			if want := [...]EndReason{c.expired, c.removed, c.killed, c.killed}; got != want {
				t.Errorf("%s, state %d: %v, want %v", c.name, state, got, want)
			}
		}
	}
}

// A reset is the only answer that a refused connection has; without one it had to make
// room.
func TestUnansweredIsNotRefused(t *testing.T) {
	e := conntrack.Event{State: conntrack.TCPSynSent, HasTimeout: true,
		Orig: conntrack.Tuple{Proto: conntrack.ProtoTCP}}
	if got := reasonOf(&e); got != EndForced {
		t.Errorf("reason %d, want %d", got, EndForced)
	}
}

// The live end is the middle of the second that CTA_TIMEOUT leaves, where that makes
// sense.
func TestLiveRecordEndsByItsTimer(t *testing.T) {
	cases := map[string]struct {
		timeout uint32
		has     bool
		want    time.Duration // since the start; the poll is at 10 s
	}{
		"3.2 s ago":             {26, true, 6500 * time.Millisecond},
		"just now":              {29, true, 9500 * time.Millisecond},
		"at the start":          {20, true, 500 * time.Millisecond},
		"before it was counted": {5, true, 10 * time.Second}, // 24 to 25 s ago: not plausible
		"a longer timer":        {86400, true, 10 * time.Second},
		"offloaded":             {0, false, 10 * time.Second},
	}
	for name, c := range cases {
		h := running(t, testOptions())
		start := h.now.Wall
		e := h.entry(conntrack.ProtoUDP)
		moves(e)
		e.Timeout, e.HasTimeout = c.timeout, c.has
		h.pass(10 * time.Second)
		h.dump(e)
		h.table.Flush(h.now)
		if got := time.Duration(h.take()[0].End - start); got != c.want {
			t.Errorf("%s: ends at %v, want %v", name, got, c.want)
		}
	}
}

// A step of the system clock must not move a flow into the future, swap its start and end, or
// change its duration.
func TestClockStepsDoNotMoveRecords(t *testing.T) {
	for name, step := range map[string]time.Duration{
		"1 h ahead": time.Hour, "1 h back": -time.Hour, "from 1970": 56 * 365 * 24 * time.Hour,
	} {
		o := testOptions()
		o.NATEvents = true
		h := newHarness(t, o)
		if name == "from 1970" {
			h.now.Wall = int64(time.Minute)
			h.table = NewTable(o, testTimeouts(), h, h.now)
		}
		h.dump()
		began := h.now.Mono
		entry := func(id uint32) *conntrack.Event {
			e := h.masqueraded(conntrack.ProtoUDP)
			e.ID = id
			return e
		}
		// when the clock is set, after it, at its end
		met, shown, ended := entry(1), entry(2), entry(3)
		h.pass(time.Second)
		h.dump(met)
		h.take()
		h.now.Wall += int64(step)
		h.pass(34 * time.Second)
		young := entry(4)
		h.pass(time.Second)
		for _, e := range []*conntrack.Event{met, shown, ended, young} {
			moves(e)
			if e != ended && e != young {
				h.live(e)
			}
			h.expire(e, h.now.Wall)
		}
		records := h.take()
		if bytesOf(records) != 4400 || len(records) != 15 {
			t.Errorf("%s: %d bytes, want 4400, in %d records", name, bytesOf(records), len(records))
		}
		for _, r := range records {
			want := int64(0)
			if r.NAT == NATDelete {
				want = 36 * second
			} else if r.ID>>32 == uint64(young.ID) {
				want = 35 * second
			}
			if start := toMono(r.Start, h.now) - began; start != want || r.End < r.Start ||
				r.End > h.now.Wall {
				t.Errorf("%s: connection %d, NAT event %d: starts at %v, want %v, and lasts %v",
					name, r.ID>>32, r.NAT, time.Duration(start), time.Duration(want),
					time.Duration(r.End-r.Start))
			}
		}
	}
}

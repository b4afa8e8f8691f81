package flow

import (
	"fmt"
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// natHarness watches translations.
func natHarness(t *testing.T) *harness {
	o := testOptions()
	o.NATEvents = true
	return running(t, o)
}

// masqueraded is entry behind a router that rewrites its source.
func (h *harness) masqueraded(proto uint8) *conntrack.Event {
	e := h.entry(proto)
	e.Reply = tuple(proto, "198.51.100.20:443", "198.51.100.1:60000")
	return e
}

// natEvents formats NAT events, with the time since the harness began.
func natEvents(records []Record) (all []string) {
	for _, r := range records {
		if r.NAT == 0 {
			continue
		}
		what := map[NATEvent]string{NATCreate: "began", NATDelete: "ended"}[r.NAT]
		all = append(all, fmt.Sprintf("%s %v %v:%d->%v:%d as %v:%d->%v:%d", what,
			time.Duration(r.Start-epoch),
			r.Src.Netip(), r.SrcPort, r.Dst.Netip(), r.DstPort, r.PostSrc.Netip(), r.PostSrcPort,
			r.PostDst.Netip(), r.PostDstPort))
	}
	return all
}

const masquerade = " 192.168.77.10:1024->198.51.100.20:443 as 198.51.100.1:60000->198.51.100.20:443"

type natCase struct {
	name string
	play func(h *harness)
	want []string
}

func natCases() []natCase {
	return []natCase{
		{"met in a dump, ended", func(h *harness) {
			h.pass(time.Second)
			e := h.masqueraded(conntrack.ProtoUDP)
			moves(e)
			h.pass(time.Second)
			h.dump(e)
			h.dump(e)
			h.pass(time.Minute)
			h.expire(e, h.now.Wall-int64(time.Second))
		}, []string{"began 1s" + masquerade, "ended 1m1s" + masquerade}},
		{"never met", func(h *harness) {
			e := h.masqueraded(conntrack.ProtoUDP)
			moves(e)
			h.pass(3 * time.Second)
			h.expire(e, h.now.Wall)
		}, []string{"began 0s" + masquerade, "ended 3s" + masquerade}},
		{"its end never reported", func(h *harness) {
			e := h.masqueraded(conntrack.ProtoUDP)
			h.dump(e)
			for range 3 {
				h.pass(10 * time.Second)
				h.dump()
			}
		}, []string{"began 0s" + masquerade, "ended 20s" + masquerade}},
		{"no time stamps", func(h *harness) {
			e := h.masqueraded(conntrack.ProtoUDP)
			e.Start = 0
			h.pass(time.Second)
			h.dump(e)
			h.pass(time.Second)
			h.expire(e, 0)
		}, []string{"began 1s" + masquerade, "ended 2s" + masquerade}},
		{"not translated", func(h *harness) {
			e := h.entry(conntrack.ProtoUDP)
			h.dump(e)
			h.expire(e, h.now.Wall)
		}, nil},
		{"a port forwarded", func(h *harness) {
			e := h.entry(conntrack.ProtoTCP)
			e.Orig = tuple(conntrack.ProtoTCP, "198.51.100.20:1024", "198.51.100.1:8443")
			e.Reply = tuple(conntrack.ProtoTCP, "192.168.77.10:443", "198.51.100.20:1024")
			h.dump(e)
		}, []string{
			"began 0s 198.51.100.20:1024->198.51.100.1:8443 as " +
				"198.51.100.20:1024->192.168.77.10:443"}},
		{"an echo", func(h *harness) {
			e := h.masqueraded(conntrack.ProtoICMP)
			e.Orig.SrcPort, e.Orig.DstPort, e.Reply.SrcPort, e.Reply.DstPort = 77, 8<<8, 99, 0
			h.dump(e)
		}, []string{
			"began 0s 192.168.77.10:77->198.51.100.20:0 as 198.51.100.1:99->198.51.100.20:0"}},
	}
}

// TestNATEventsFollowTranslations checks when translations begin and end.
func TestNATEventsFollowTranslations(t *testing.T) {
	for _, c := range natCases() {
		t.Run(c.name, func(t *testing.T) {
			h := natHarness(t)
			c.play(h)
			got := natEvents(h.take())
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got\n     %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestNATEventsOfOlderConnectionsAreExportedOnce: a translation that is
// older than the table has its own start, and is not exported again after a restart.
func TestNATEventsOfOlderConnectionsAreExportedOnce(t *testing.T) {
	for _, restored := range []bool{false, true} {
		h := natHarness(t)
		e := h.masqueraded(conntrack.ProtoUDP)
		h.pass(time.Minute)
		o := testOptions()
		o.NATEvents = true
		h.table = NewTable(o, testTimeouts(), h, h.now)
		want := 1
		if restored {
			h.table.Restore(h.now.Wall,
				map[conntrack.Key]Checkpoint{e.Key(): {Key: e.Key(), Until: h.now.Mono}})
			want = 0
		}
		h.dump(e)
		got := natEvents(h.take())
		if len(got) != want || want == 1 && got[0] != "began 0s"+masquerade {
			t.Errorf("restored %t: got %q", restored, got)
		}
	}
}

// TestNATEventsAreOffByDefault leaves them out unless they are asked for.
func TestNATEventsAreOffByDefault(t *testing.T) {
	h := running(t, testOptions())
	e := h.masqueraded(conntrack.ProtoUDP)
	moves(e)
	h.expire(e, h.now.Wall)
	if got := h.take(); len(got) != 2 || len(natEvents(got)) != 0 {
		t.Errorf("got %+v", got)
	}
}

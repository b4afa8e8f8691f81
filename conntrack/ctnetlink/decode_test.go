package ctnetlink_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

const (
	v6a = "2001:db8:77::10"
	v6b = "2001:db8:100::20"
)

// entries has an entry of each kind that the kernel reports.
var entries = []struct {
	name  string
	event conntrack.Event
}{
	{"tcp with source nat", tcpEntry()},
	{"tcp over ipv6", with(plainEntry(tuple(conntrack.ProtoTCP, v6a, 1, v6b, 65535)),
		func(e *conntrack.Event) { e.State = conntrack.TCPTimeWait })},
	{"udp", plainEntry(tuple(conntrack.ProtoUDP, "192.0.2.1", 5353, "192.0.2.2", 53))},
	{"udp-lite", plainEntry(tuple(conntrack.ProtoUDPLite, "192.0.2.1", 5353, "192.0.2.2", 53))},
	{"icmp echo", plainEntry(tuple(conntrack.ProtoICMP, "192.0.2.1", 77, "192.0.2.2", 8<<8))},
	{"icmp with a code",
		plainEntry(tuple(conntrack.ProtoICMP, "192.0.2.1", 77, "192.0.2.2", 3<<8|13))},
	{"icmpv6 echo", plainEntry(tuple(conntrack.ProtoICMPv6, v6a, 77, v6b, 128<<8))},
	{"gre keys", plainEntry(tuple(conntrack.ProtoGRE, "192.0.2.1", 100, "192.0.2.2", 200))},
	{"sctp", with(plainEntry(tuple(conntrack.ProtoSCTP, "192.0.2.1", 1, "192.0.2.2", 2)),
		func(e *conntrack.Event) { e.State = 4 })},
	{"unknown protocol", plainEntry(tuple(99, "192.0.2.1", 0, "192.0.2.2", 0))},
	{"unknown protocol over ipv6", plainEntry(tuple(99, v6a, 0, v6b, 0))},
	{"zone", with(tcpEntry(), func(e *conntrack.Event) { e.Zone, e.ReplyZone = 0xabcd, 0xabcd })},
	{"zone of the original direction",
		with(tcpEntry(), func(e *conntrack.Event) { e.Zone = 0xabcd })},
	{"zone of the reply direction",
		with(tcpEntry(), func(e *conntrack.Event) { e.ReplyZone = 0xabcd })},
	{"neither counters nor times", with(tcpEntry(), func(e *conntrack.Event) {
		e.Counted, e.Counters, e.Start = false, [2]conntrack.Counters{}, 0
	})},
	{"counters that are zero",
		with(tcpEntry(), func(e *conntrack.Event) { e.Counters = [2]conntrack.Counters{} })},
	{"offloaded", with(tcpEntry(), func(e *conntrack.Event) {
		e.Status |= conntrack.Offload | conntrack.HWOffload
		e.HasTimeout, e.Timeout, e.State, e.TCPFlags = false, 0, 0, [2]conntrack.TCPFlags{}
	})},
	{"timeout of 0", with(tcpEntry(), func(e *conntrack.Event) { e.Timeout = 0 })},
	{"extreme values", with(tcpEntry(), func(e *conntrack.Event) {
		e.ID, e.Mark, e.Status, e.Timeout = 1<<32-1, 1<<32-1, ^conntrack.Offload, 1<<32-1
		e.Counters = [2]conntrack.Counters{
			{Packets: 1<<64 - 1, Bytes: 1<<64 - 1}, {Packets: 1<<64 - 1, Bytes: 1<<64 - 1},
		}
		e.Start, e.State = 1<<63-1, 255
	})},
	{"destroyed: expired", ended(tcpEntry())},
	{"destroyed: deleted", with(ended(tcpEntry()), func(e *conntrack.Event) {
		e.HasTimeout, e.Timeout, e.Portid = true, 12, 3006838981
	})},
	{"destroyed: without mark", with(ended(tcpEntry()), func(e *conntrack.Event) { e.Mark = 0 })},
	{"destroyed: older than accounting",
		with(ended(plainEntry(tuple(conntrack.ProtoUDP, v6a, 1, v6b, 2))),
			func(e *conntrack.Event) {
				e.Counted, e.Counters, e.Start, e.Stop = false, [2]conntrack.Counters{}, 0, 0
			})},
}

func TestDecode(t *testing.T) {
	for _, c := range entries {
		t.Run(c.name, func(t *testing.T) {
			got := dirty()
			got.Type, got.Portid = c.event.Type, c.event.Portid
			if err := ctnetlink.Decode(
				conntracktest.AppendAttributes(nil, &c.event), &got,
			); err != nil {
				t.Fatal(err)
			}
			if got != c.event {
				t.Errorf("got  %+v\nwant %+v", got, c.event)
			}
		})
	}
}

// dirty returns an Event with a value of an earlier message in each field.
func dirty() conntrack.Event {
	e := ended(tcpEntry())
	e.Zone, e.ReplyZone, e.HasTimeout, e.Timeout, e.State = 9, 8, true, 9, 9
	e.TCPFlags = [2]conntrack.TCPFlags{7, 8}
	e.Orig.DstPort, e.Reply.DstPort = 0xffff, 0xffff
	return e
}

// TestDecodeForms decodes forms of messages that other kernels may send.
func TestDecodeForms(t *testing.T) {
	plain := tcpEntry()
	for _, c := range []struct {
		name  string
		bytes []byte
		want  conntrack.Event
	}{
		{"zone in the original tuple",
			appended(nest(aTupleOrig, origTuple(), attr(aTupleZone, 0, 9))),
			with(plain, func(e *conntrack.Event) { e.Zone = 9 })},
		{"zone in the reply tuple",
			appended(nest(aTupleReply, replyTuple(), attr(aTupleZone, 1, 0))),
			with(plain, func(e *conntrack.Event) { e.ReplyZone = 256 })},
		{"unknown attributes",
			appended(attr(0), attr(22, make([]byte, 16)...), nest(24, attr(1, 0, 0, 0, 0)),
				attr(999, 1)), plain},
		{"unknown in a tuple", appended(nest(aTupleOrig, origTuple(), attr(77, 1, 2, 3))), plain},
		{"unknown in counters",
			appended(nest(aCountersOrig, u64(1, 2), attr(5), u64(2, 112), attr(3))), plain},
		{"unknown protocol's info", appended(nest(aProtoinfo, nest(9, attr(1, 5)))), plain},
		{"no nested flag", appended(attr(aCountersOrig, u64(1, 3)...)),
			with(plain, func(e *conntrack.Event) { e.Counters[conntrack.Original].Packets = 3 })},
		{"nested flag where there is none", appended(attr(aMark|nested, 0, 0, 1, 2)),
			with(plain, func(e *conntrack.Event) { e.Mark = 258 })},
		{"byte order flag", appended(attr(aMark|byteOrder, 0, 0, 1, 2)),
			with(plain, func(e *conntrack.Event) { e.Mark = 258 })},
		{"no padding at the end", appended(attr(aZone, 0, 9)[:6]),
			with(plain, func(e *conntrack.Event) { e.Zone, e.ReplyZone = 9, 9 })},
		{"the state of dccp",
			appended(nest(aProtoinfo, nest(2, attr(1, 5), attr(2, 1), u64(3, 1)))),
			with(plain, func(e *conntrack.Event) { e.State = 5 })},
		{"tuples alone", bothTuples(), conntrack.Event{
			Type:  conntrack.Dump,
			Orig:  tuple(conntrack.ProtoTCP, "192.0.2.1", 80, "192.0.2.2", 256),
			Reply: tuple(conntrack.ProtoTCP, "192.0.2.1", 80, "192.0.2.2", 256),
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := conntrack.Event{Type: conntrack.Dump}
			if err := ctnetlink.Decode(c.bytes, &got); err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestDecodeHostile(t *testing.T) {
	for _, c := range []struct {
		name  string
		bytes []byte
	}{
		{"nothing", nil},
		{"one byte", []byte{1}},
		{"three bytes", []byte{8, 0, 3}},
		{"length 0", appended(lying(aMark, 0, 0, 0, 0, 0))},
		{"length 1", appended(lying(aMark, 1, 0, 0, 0, 0))},
		{"length 2", appended(lying(aMark, 2, 0, 0, 0, 0))},
		{"length 3", appended(lying(aMark, 3, 0, 0, 0, 0))},
		{"one past the end", appended(lying(aMark, 9, 0, 0, 0, 0))},
		{"far past the end", appended(lying(aMark, 0xffff, 0, 0, 0, 0))},
		{"unknown, past the end", appended(lying(999, 9, 0, 0, 0, 0))},
		{"a tuple past its end", appended(nest(aTupleOrig, lying(aTupleIP|nested, 40)))},
		{"an address past its tuple",
			appended(nest(aTupleOrig, nest(aTupleIP, lying(1, 9, 1, 2, 3, 4))))},
		{"a length of 0 in a tuple", appended(nest(aTupleOrig, lying(aTupleIP, 0)))},
		{"a length of 0 in the ports",
			appended(nest(aTupleOrig, nest(aTupleProto, lying(2, 0, 0, 1))))},
		{"counters past their end",
			appended(nest(aCountersOrig, lying(1, 13, make([]byte, 8)...)))},
		{"reply counters past their end",
			appended(nest(aCountersReply, lying(1, 13, make([]byte, 8)...)))},
		{"a time stamp past its end", appended(nest(aTimestamp, lying(1, 13, make([]byte, 8)...)))},
		{"a state past its end", appended(nest(aProtoinfo, nest(1, lying(1, 12, 3))))},
		{"protocol info past its end", appended(nest(aProtoinfo, lying(1, 99, 3)))},
		{"no original tuple", attr(aTupleReply, tcpTuple()...)},
		{"no reply tuple", attr(aTupleOrig, tcpTuple()...)},
		{"empty tuples", slices.Concat(nest(aTupleOrig), nest(aTupleReply))},
		{"no addresses",
			slices.Concat(nest(aTupleOrig, nest(aTupleIP)), nest(aTupleReply, nest(aTupleIP)))},
		{"an error, then good attributes", append(attr(aMark), bothTuples()...)},
	} {
		t.Run(c.name, func(t *testing.T) { mustBeMalformed(t, c.bytes) })
	}
}

// TestDecodeWidths gives each field the wrong width.
func TestDecodeWidths(t *testing.T) {
	inTuple := func(part uint16) func([]byte) []byte {
		return func(a []byte) []byte { return nest(aTupleOrig, nest(part, a)) }
	}
	in := func(typ uint16) func([]byte) []byte {
		return func(a []byte) []byte { return nest(typ, a) }
	}
	top := func(a []byte) []byte { return a }
	ip, proto := inTuple(aTupleIP), inTuple(aTupleProto)
	for _, c := range []struct {
		name  string
		typ   uint16
		width int
		wrap  func([]byte) []byte
	}{
		{"status", aStatus, 4, top}, {"timeout", aTimeout, 4, top}, {"mark", aMark, 4, top},
		{"id", aID, 4, top}, {"zone", aZone, 2, top}, {"tuple zone", aTupleZone, 2, in(aTupleOrig)},
		{"ipv4 source", 1, 4, ip}, {"ipv4 destination", 2, 4, ip},
		{"ipv6 source", 3, 16, ip}, {"ipv6 destination", 4, 16, ip},
		{"protocol", 1, 1, proto}, {"source port", 2, 2, proto}, {"destination port", 3, 2, proto},
		{"icmp id", 4, 2, proto}, {"icmp type", 5, 1, proto}, {"icmp code", 6, 1, proto},
		{"icmpv6 id", 7, 2, proto}, {"icmpv6 type", 8, 1, proto}, {"icmpv6 code", 9, 1, proto},
		{"packets", 1, 8, in(aCountersOrig)}, {"bytes", 2, 8, in(aCountersReply)},
		{"start", 1, 8, in(aTimestamp)}, {"stop", 2, 8, in(aTimestamp)},
		{"state", 1, 1, func(a []byte) []byte { return nest(aProtoinfo, nest(1, a)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for width := range 20 {
				b := appended(c.wrap(attr(c.typ, make([]byte, width)...)))
				if width != c.width {
					mustBeMalformed(t, b)
				} else if err := ctnetlink.Decode(b, new(conntrack.Event)); err != nil {
					t.Errorf("width %d: %v", width, err)
				}
			}
		})
	}
}

// TestDecodeTruncated cuts every message at each octet. A message that is cut at the end of an
// attribute looks whole; its tuples are the same.
func TestDecodeTruncated(t *testing.T) {
	for _, c := range entries {
		t.Run(c.name, func(t *testing.T) {
			whole := conntracktest.AppendAttributes(nil, &c.event)
			for n := range whole {
				var got conntrack.Event
				// A copy, so that a read past the end panics.
				err := ctnetlink.Decode(slices.Clone(whole[:n]), &got)
				if err == nil && (got.Orig != c.event.Orig || got.Reply != c.event.Reply) {
					t.Errorf("%d of %d bytes: %+v", n, len(whole), got)
				}
				if err != nil && !errors.Is(err, ctnetlink.ErrMalformed) {
					t.Errorf("%d of %d bytes: %v", n, len(whole), err)
				}
			}
		})
	}
}

func mustBeMalformed(t *testing.T, b []byte) {
	t.Helper()
	var e conntrack.Event
	if err := ctnetlink.Decode(slices.Clip(b), &e); !errors.Is(err, ctnetlink.ErrMalformed) {
		t.Errorf("error %v for % x: %+v", err, b, e)
	}
}

// origTuple and replyTuple are the insides of tcpEntry's.
func origTuple() []byte {
	return slices.Concat(
		nest(aTupleIP, attr(1, 192, 168, 77, 10), attr(2, 198, 51, 100, 20)),
		nest(aTupleProto, attr(1, conntrack.ProtoTCP), attr(2, 0x9c, 0x40), attr(3, 0x01, 0xbb)))
}

func replyTuple() []byte {
	return slices.Concat(
		nest(aTupleIP, attr(1, 198, 51, 100, 20), attr(2, 198, 51, 100, 1)),
		nest(aTupleProto, attr(1, conntrack.ProtoTCP), attr(2, 0x01, 0xbb), attr(3, 0x9c, 0x40)))
}

func u64(typ uint16, v byte) []byte { return attr(typ, 0, 0, 0, 0, 0, 0, 0, v) }

package export

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow"
)

// everything returns all options.
func everything() RecordOptions {
	return RecordOptions{
		Biflow: true, NATEvents: true, FlowID: true, VLAN: true, MAC: true, Zone: true,
		Mark: true,
	}
}

func newFullEncoder(p Protocol) *Encoder {
	return NewEncoder(p, goldenDomain, 8000, everything())
}

// encodeOptional returns a message of one pair after the templates; in v9, of its first direction.
func encodeOptional(p Protocol, both *flow.Pair) []byte {
	e := newFullEncoder(p)
	goldenTemplates(e)
	if e.protocol == IPFIX && both[0].NAT == 0 {
		addPair(e, both)
	} else {
		e.Add(&both[0], present)
	}
	return slices.Clone(e.Finish(present))
}

// addPair adds both directions as one record.
func addPair(e *Encoder, p *flow.Pair) bool {
	return e.addRecord(dataRecord{&p[0], &p[1]}, present)
}

// optionalFlow is wantFlow of a record with all options.
func optionalFlow(p Protocol, r *flow.Record) decode.Flow {
	f := wantFlow(p, goldenDomain, r)
	f.VLAN, f.PostVLAN, f.SrcMAC, f.DstMAC = r.InputVLAN, r.OutputVLAN, r.SrcMAC, r.DstMAC
	f.InputZone, f.OutputZone = uint32(r.InputZone), uint32(r.OutputZone)
	if p == IPFIX {
		f.BiflowDirection = wantOctet(239, r)
		f.FlowID, f.Mark, f.Template = r.ID, uint64(r.Mark), f.Template+templateCount
	}
	return f
}

// answering returns a flow of the reply direction.
func answering(f decode.Flow) decode.Flow {
	if f.BiflowDirection == 1 {
		f.BiflowDirection = 2
	}
	return f
}

// TestGoldenOptional compares the bytes of each kind of record with all options, and what other
// decoders find in them.
func TestGoldenOptional(t *testing.T) {
	for _, p := range protocols {
		first := golden(t, p, everything(), "all-templates", goldenTemplates(newFullEncoder(p)))
		for kind, of := range templates(p, everything()) {
			t.Run(fmt.Sprint(p, "-", of.id), func(t *testing.T) {
				both := samplePair(kind, present)
				data := golden(t, p, everything(), fmt.Sprint("all-", of.id),
					encodeOptional(p, &both))
				checkOthers(t, p, &both, &of, first, data)
				want := []decode.Flow{
					optionalFlow(p, &both[0]), answering(optionalFlow(p, &both[1])),
				}
				if p == NetFlow9 {
					want = want[:1]
				}
				sameFlows(t, flowsIn(t, [][]byte{first, data}), want)
			})
		}
		for i, of := range natTemplates(p) {
			t.Run(fmt.Sprint(p, "-", of.id), func(t *testing.T) {
				both := flow.Pair{sampleNAT(i == 1, i == 0, present)}
				data := golden(t, p, everything(), fmt.Sprint("all-", of.id),
					encodeOptional(p, &both))
				checkOthers(t, p, &both, &of, first, data)
				m := decodeAll(t, [][]byte{first, data})[1]
				if want := wantNAT(&both[0]); len(m.NATEvents) != 1 || m.NATEvents[0] != want ||
					len(m.Flows) != 0 {
					t.Errorf("decode reads %+v\nwant %+v", m, want)
				}
			})
		}
	}
}

func wantNAT(r *flow.Record) decode.NATEvent {
	return decode.NATEvent{
		Observed: time.UnixMilli(r.Start / 1e6).UTC(), Event: wantNATEvent(r), Protocol: r.Proto,
		Src: r.Src.Netip(), Dst: r.Dst.Netip(), PostSrc: r.PostSrc.Netip(),
		PostDst: r.PostDst.Netip(),
		SrcPort: r.SrcPort, DstPort: r.DstPort, PostSrcPort: r.PostSrcPort,
		PostDstPort: r.PostDstPort,
	}
}

// TestOptionalTemplates proves that an option adds its fields only, after the others.
func TestOptionalTemplates(t *testing.T) {
	plain := func(p Protocol) string { return wantTemplates(p)[256] }
	reverse := " 239/1 32774/1 32829/1 32769/8 32770/8" // with the enterprise bit
	cases := []struct {
		p    Protocol
		o    RecordOptions
		id   uint16
		want string
	}{
		{IPFIX, RecordOptions{FlowID: true}, 256, plain(IPFIX) + " 148/8"},
		{IPFIX, RecordOptions{VLAN: true}, 256, plain(IPFIX) + " 58/2 59/2"},
		{IPFIX, RecordOptions{MAC: true}, 256, plain(IPFIX) + " 56/6 57/6"},
		{IPFIX, RecordOptions{Zone: true}, 256, plain(IPFIX) + " 234/4 235/4"},
		{IPFIX, RecordOptions{Mark: true}, 256, plain(IPFIX) + " 32769/8"},
		{IPFIX, RecordOptions{Mark: true, Biflow: true}, 264, plain(IPFIX) + " 32769/8" + reverse},
		{IPFIX, RecordOptions{MAC: true, Biflow: true}, 264, plain(IPFIX) + " 56/6 57/6" + reverse +
			" 32824/6 32825/6"},
		{IPFIX, RecordOptions{Biflow: true}, 264, plain(IPFIX) + reverse},
		{IPFIX, RecordOptions{NATEvents: true}, 256, plain(IPFIX)},
		{IPFIX, RecordOptions{NATEvents: true}, 272, "323/8 230/1 8/4 12/4 7/2 11/2 4/1" +
			wantNAT4 + " 152/8 153/8"},
		{IPFIX, RecordOptions{NATEvents: true}, 273, "323/8 230/1 27/16 28/16 7/2 11/2 4/1" +
			wantNAT6 + " 152/8 153/8"},
		{NetFlow9, RecordOptions{FlowID: true, Mark: true, Biflow: true}, 256, plain(NetFlow9)},
		{NetFlow9, RecordOptions{VLAN: true, MAC: true, Zone: true}, 256, plain(NetFlow9) +
			" 58/2 59/2 56/6 57/6 234/4 235/4"},
		{NetFlow9, RecordOptions{NATEvents: true}, 272, "323/8 230/1 8/4 12/4 7/2 11/2 4/1" +
			wantNAT4 + " 22/4 21/4"},
	}
	for _, c := range cases {
		sets := walk(t, goldenTemplates(NewEncoder(c.p, goldenDomain, 8000, c.o))).sets
		found := templatesIn(sets[0])
		if got := join(found[c.id]); got != c.want {
			t.Errorf("%s, %+v: template %d\n is  %s\nwant %s", c.p, c.o, c.id, got, c.want)
		}
		if want := templateCount + map[bool]int{true: 2}[c.o.NATEvents]; len(found) != want {
			t.Errorf("%s, %+v: %d templates, want %d", c.p, c.o, len(found), want)
		}
	}
}

// randomPairs returns pairs; some directions of them moved nothing.
func randomPairs(rnd *rand.Rand, n int, now int64) []flow.Pair {
	pairs := make([]flow.Pair, n)
	for i := range pairs {
		both := samplePair(rnd.IntN(templateCount), now)
		both[0].SrcPort, both[1].DstPort = uint16(i), uint16(i)
		if both[0].IsICMP() {
			both[0].SrcPort, both[1].DstPort = 0, 0x2122
		}
		if still := rnd.IntN(4); still < 2 {
			both[still].Packets, both[still].Bytes = 0, 0
		}
		both[0].ID, both[1].ID = uint64(i), uint64(i)
		pairs[i] = both
	}
	return pairs
}

// moved is wantFlow of each direction that moved.
func moved(p Protocol, o RecordOptions, pairs []flow.Pair) (flows []decode.Flow) {
	for i := range pairs {
		for d := range pairs[i] {
			r := &pairs[i][d]
			if !r.Moved() {
				continue
			}
			f := wantFlow(p, uint32(p), r)
			if o.supportedBy(p).Biflow {
				f.Template += templateCount
				if f.BiflowDirection = wantOctet(239, r); d == 1 {
					f = answering(f)
				}
				if pairs[i][1].Translated && !pairs[i][0].Translated {
					f.Template++
				}
			}
			flows = append(flows, f)
		}
	}
	return flows
}

// TestBiflowCollectorDoesNotChangeOthers: a v9 collector gets two records for a pair that is one
// record for an IPFIX collector, also with checkpoints.
func TestBiflowCollectorDoesNotChangeOthers(t *testing.T) {
	clock := newFakeClock()
	e := &Exporter{}
	var listeners []*listener
	for _, p := range protocols {
		l := listen4(t)
		c := NewCollector(CollectorConfig{
			Address: l.address().String(), Protocol: p, RecordOptions: RecordOptions{Biflow: true},
		}, clock.now)
		if err := c.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		listeners, e.Collectors = append(listeners, l), append(e.Collectors, c)
	}
	noted, written := 0, 0
	e.Commit = func(now conntrack.Timestamp) { written = noted; e.Flush(now) }
	pairs := randomPairs(rand.New(rand.NewPCG(1, 9)), 400, clock.at.Wall)
	for i := range pairs {
		both := pairs[i]
		both[0].At, both[1].At = clock.at, clock.at
		noted++ // first, then exported
		e.Export(&both)
		for n, l := range listeners {
			l.drain(t)
			p, sent := protocols[n], len(flowsIn(t, l.messages))
			if most := len(moved(p, RecordOptions{}, pairs[:written])); sent > most {
				t.Fatalf("%s: %d flows have left, %d are written down", p, sent, most)
			}
			if !wholePairs(pairs, sent) {
				t.Fatalf("%s: the %d flows that have left end between two of one connection",
					p, sent)
			}
		}
	}
	e.Close(clock.now())
	for i, p := range protocols {
		listeners[i].drain(t)
		sameFlows(t, flowsIn(t, listeners[i].messages),
			moved(p, RecordOptions{Biflow: true}, pairs))
	}
	records := 0
	for _, m := range decodeAll(t, listeners[0].messages) {
		records += m.DataRecords - m.OptionRecords
	}
	if records != len(pairs) {
		t.Errorf("%d records of %d pairs", records, len(pairs))
	}
}

// wholePairs reports whether n flows are those of some pairs, from the first on.
func wholePairs(pairs []flow.Pair, flows int) bool {
	for i := 0; flows > 0; i++ {
		for d := range pairs[i] {
			if pairs[i][d].Moved() {
				flows--
			}
		}
	}
	return flows == 0
}

// TestNATEventsExported proves that NAT events go only to collectors with the option.
func TestNATEventsExported(t *testing.T) {
	clock := newFakeClock()
	for _, asked := range []bool{true, false} {
		l := listen4(t)
		c := NewCollector(CollectorConfig{
			Address: l.address().String(), Protocol: IPFIX,
			RecordOptions: RecordOptions{NATEvents: asked, Biflow: true},
		}, clock.now)
		if err := c.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		e := &Exporter{Collectors: []*Collector{c}}
		r, both := sampleNAT(false, false, clock.at.Wall), samplePair(0, clock.at.Wall)
		exportAllNow(e, &r)
		e.Export(&both)
		e.Close(clock.now())
		events, flows := 0, 0
		for _, m := range decodeAll(t, l.receiveAll(t, c)) {
			events += len(m.NATEvents)
			flows += len(m.Flows)
		}
		if events != map[bool]int{true: 1}[asked] || flows != 2 {
			t.Errorf("asked %t: %d events, %d flows", asked, events, flows)
		}
	}
}

// TestOptionsDoNotAllocate once the Encoder is made.
func TestOptionsDoNotAllocate(t *testing.T) {
	pairs := randomPairs(rand.New(rand.NewPCG(5, 6)), 1000, present)
	e := NewEncoder(IPFIX, goldenDomain, DefaultMessageSize, everything())
	nat := sampleNAT(true, true, present)
	n := testing.AllocsPerRun(10, func() {
		for i := range pairs {
			if !addPair(e, &pairs[i]) {
				e.Finish(present)
				addPair(e, &pairs[i])
			}
			if !e.Add(&nat, present) {
				e.Finish(present)
				e.Add(&nat, present)
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for %d records", n, len(pairs))
	}
}

// TestLargestRecord proves that any record fits into the smallest message.
func TestLargestRecord(t *testing.T) {
	for _, p := range protocols {
		e := newFullEncoder(p)
		for i := range e.templates {
			if n := e.templates[i].size + p.headerLen() + setHeaderLen + 3; n > minMessage {
				t.Errorf("%s: template %d makes a message of %d octets", p, e.templates[i].id, n)
			}
		}
		for i := range e.templateSet.fixed {
			octets := len(e.templateSet.fixed[i].octets)
			if n := octets + p.headerLen() + setHeaderLen + 3; n > minMessage {
				t.Errorf("%s: record %d makes a message of %d octets", p, i, n)
			}
		}
	}
}

func BenchmarkAddPair(b *testing.B) {
	e := NewEncoder(IPFIX, goldenDomain, DefaultMessageSize, RecordOptions{Biflow: true})
	both := samplePair(translatedBit, present)
	b.ReportAllocs()
	for b.Loop() {
		if !addPair(e, &both) {
			e.Finish(present)
			addPair(e, &both)
		}
	}
}

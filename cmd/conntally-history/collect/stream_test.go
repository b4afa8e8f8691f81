package collect

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/export/decode"
)

func exporterKey() usage.Exporter { return usage.Exporter{Address: addr("192.0.2.1"), Version: 10} }

// message is one of an exporter, of so many records.
func message(port uint16, sequence uint32, records int) *decode.Message {
	return &decode.Message{
		Exporter: netip.AddrPortFrom(addr("192.0.2.1"), port), Version: 10, Sequence: sequence,
		DataRecords: records, Units: uint32(records),
	}
}

// total adds up what came in all hours.
func total(b *usage.Batch) (sum usage.Intake) {
	for _, i := range b.Exporters {
		sum.Add(i)
	}
	return sum
}

func TestGaps(t *testing.T) {
	late := message(1000, 2, 2)
	late.Late = true
	unread := message(1000, 2, 0) // its data sets had no template
	unread.UnknownSets = 1
	held := message(1000, 2, 0)
	held.Held = 1
	stillHeld := message(1000, 4, 1)
	stillHeld.Held = 1
	rebased := message(1000, 3, 2) // its custom was noticed
	rebased.Rebased = true
	recovered := message(1000, 5, 1)
	recovered.Recovered = 2
	after := message(1000, 6, 2) // that one still waits
	after.Held = 1
	lateWhileHeld := message(1000, 4, 2)
	lateWhileHeld.Held, lateWhileHeld.Late = 1, true
	heldEarly := message(1000, 4, 0) // it came before a message from before it
	heldEarly.Held = 1
	second := message(1000, 2, 2) // not Late: after data that waits, the decoder can't tell
	second.Held = 1
	recoveredAll := message(1000, 8, 1)
	recoveredAll.Recovered = 2
	v9 := func(sequence uint32) *decode.Message {
		m := message(1000, sequence, 9)
		m.Version, m.Units = 9, 1
		return m
	}
	for _, c := range []struct {
		name       string
		stored     usage.Sequence
		messages   []*decode.Message
		records    uint64
		missing    uint64
		next       uint32
		inDatagram bool
	}{
		{"none", usage.Sequence{}, []*decode.Message{message(1000, 0, 2), message(1000, 2, 2)},
			4, 0, 4, false},
		{"in between", usage.Sequence{},
			[]*decode.Message{message(1000, 0, 2), message(1000, 9, 2)}, 4, 7, 11, false},
		{"over the wrap", usage.Sequence{},
			[]*decode.Message{message(1000, 1<<32-2, 1), message(1000, 3, 1)}, 2, 4, 4, false},
		{"first message unknown", usage.Sequence{}, []*decode.Message{message(1000, 100, 2)}, 2, 0,
			102, false},
		{"since the last flush", usage.Sequence{Port: 1000, Next: 60},
			[]*decode.Message{message(1000, 100, 2)}, 2, 40, 102, false},
		{"another socket", usage.Sequence{Port: 1001, Next: 60},
			[]*decode.Message{message(1000, 100, 2)}, 2, 0, 102, false},
		{"the exporter was restarted", usage.Sequence{Port: 1000, Next: 60},
			[]*decode.Message{message(1000, 0, 2)}, 2, 0, 2, false},
		{"counted otherwise", usage.Sequence{},
			[]*decode.Message{message(1000, 0, 2), rebased, message(1000, 6, 1)}, 5, 1, 7, false},
		{"late", usage.Sequence{},
			[]*decode.Message{message(1000, 0, 2), message(1000, 4, 2), late}, 6, 0, 6, false},
		{"unread", usage.Sequence{}, []*decode.Message{message(1000, 0, 2), unread,
			message(1000, 5, 1)}, 3, 3, 6, false},
		{"waits", usage.Sequence{}, []*decode.Message{message(1000, 0, 2), held, stillHeld}, 3, 0,
			3, false},
		{"waited", usage.Sequence{},
			[]*decode.Message{message(1000, 0, 2), held, stillHeld, recovered}, 6, 0, 6, false},
		{"late while others wait", usage.Sequence{}, []*decode.Message{message(1000, 0, 2), held,
			after, lateWhileHeld, recoveredAll}, 9, 0, 9, false},
		{"late after one that waits", usage.Sequence{}, []*decode.Message{message(1000, 0, 2),
			heldEarly, second, after, recoveredAll}, 9, 0, 9, false},
		{"late while others wait, and one is lost", usage.Sequence{}, []*decode.Message{
			message(1000, 0, 1), held, after, lateWhileHeld, recoveredAll}, 8, 1, 9, false},
		{"restarted, over an earlier gap", usage.Sequence{}, []*decode.Message{
			message(1000, 50, 2), message(1000, 54, 2), message(1000, 0, 52), message(1000, 52, 2),
			message(1000, 54, 2)}, 60, 2, 56, false},
		{"NetFlow v9", usage.Sequence{}, []*decode.Message{v9(7), v9(8), v9(11)}, 27, 2, 12, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			k := exporterKey()
			k.Version = c.messages[0].Version
			f.Collector = New(f.o, map[usage.Exporter]usage.Sequence{k: c.stored}, nil)
			for _, m := range c.messages {
				f.Handle(m, nil, f.now)
			}
			b := f.Take(f.now, false)
			got := total(b)
			missing := got.MissingRecords
			if c.inDatagram {
				missing = got.MissingDatagrams
			}
			if got.Records != c.records || missing != c.missing ||
				b.Sequences[k] != (usage.Sequence{Port: 1000, Next: c.next}) {
				t.Errorf("got %+v, next %+v", got, b.Sequences[k])
			}
		})
	}
}

// What waits for a template that never comes is missing in the end, and only once.
func TestDataWithoutTemplateIsMissing(t *testing.T) {
	f := newFixture(t)
	held := message(1000, 2, 0)
	held.Held = 1
	after := message(1000, 7, 1)
	after.Held = 1
	for _, m := range []*decode.Message{message(1000, 0, 2), held, after} {
		f.Handle(m, nil, f.now)
	}
	write(&f.written, f.Take(f.now, false))
	if got := total(&f.written); got.MissingRecords != 0 {
		t.Errorf("missing at once: %+v", got)
	}
	f.now = f.now.Add(patience)
	write(&f.written, f.Take(f.now, false))
	late := message(1000, 8, 1)
	late.Recovered = 5
	f.Handle(late, nil, f.now)
	f.Handle(message(1000, 14, 1), nil, f.now) // five are lost
	f.take()
	if got := total(&f.written); got.MissingRecords != 5 || got.Records != 10 ||
		f.written.Sequences[exporterKey()].Next != 15 {
		t.Errorf("got %+v, %v", got, f.written.Sequences)
	}
}

// Whenever the program is killed, what was written and what is missing add up to what was sent,
// as of the first message afterwards.
func TestWrittenAndMissingAreAllThatWasSent(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	for range 200 {
		f := newFixture(t)
		f.Collector = New(f.o, map[usage.Exporter]usage.Sequence{
			exporterKey(): {Port: 1000, Next: 0}}, nil)
		sent := uint32(0)
		for range 100 {
			n := 1 + r.IntN(20)
			if r.IntN(10) > 0 { // else it is lost on its way
				f.Handle(message(1000, sent, n), nil, f.now)
			}
			sent += uint32(n)
			switch r.IntN(8) {
			case 0:
				f.take()
			case 1:
				f.Return(f.Take(f.now, r.IntN(2) == 0)) // it could not be written
			case 2: // killed
				stored := map[usage.Exporter]usage.Sequence{exporterKey(): {Port: 1000}}
				if s, written := f.written.Sequences[exporterKey()]; written {
					stored[exporterKey()] = s
				}
				f.Collector = New(f.o, stored, nil)
			}
		}
		f.Handle(message(1000, sent, 1), nil, f.now)
		f.take()
		if got := total(&f.written); got.Records+got.MissingRecords != uint64(sent)+1 {
			t.Fatalf("%d written, %d missing, %d sent", got.Records, got.MissingRecords, sent+1)
		}
	}
}

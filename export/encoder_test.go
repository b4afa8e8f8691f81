package export

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/conntally/conntally/flow"
)

// TestEncoderKeepsAll packs random records into messages of several sizes: they are full, never too
// large, and hold the same records in the same order.
func TestEncoderKeepsAll(t *testing.T) {
	for _, p := range protocols {
		for _, limit := range []int{minMessage, DefaultMessageSize, 8932} {
			t.Run(fmt.Sprint(p, "/", limit), func(t *testing.T) {
				for seed := range uint64(20) {
					rnd := rand.New(rand.NewPCG(seed, uint64(limit)))
					records := mixed(rnd, 1+rnd.IntN(400), present)
					messages := pack(t, NewEncoder(p, goldenDomain, limit, RecordOptions{}),
						records, present)
					sameFlows(t, flowsIn(t, messages), wantFlows(p, goldenDomain, records))
				}
			})
		}
	}
}

// TestEncoderFills counts the records in a message of one kind.
func TestEncoderFills(t *testing.T) {
	for _, p := range protocols {
		for kind := range templateCount {
			e := NewEncoder(p, goldenDomain, DefaultMessageSize, RecordOptions{})
			r := sample(kind, present)
			n := 0
			for e.Add(&r, present) {
				n++
			}
			size := wantSize(p, wantTemplate(&r))
			want := (DefaultMessageSize - p.headerLen() - setHeaderLen - 3) / size
			if n < want || e.Records() != n {
				t.Errorf("%s, template %d: %d records of %d octets, counted as %d, want %d",
					p, wantTemplate(&r), n, size, e.Records(), want)
			}
		}
	}
}

// TestEncoderSmallLimit proves that a record of any kind fits in spite of a limit that is too
// small, and that templates are spread over several messages.
func TestEncoderSmallLimit(t *testing.T) {
	for _, p := range protocols {
		for kind := range templateCount {
			e := NewEncoder(p, goldenDomain, 0, RecordOptions{})
			r := sample(kind, present)
			messages := pack(t, e, []flow.Record{r}, present)
			if len(messages) < 2 {
				t.Errorf("%s: %d messages", p, len(messages))
			}
			for _, b := range messages {
				if len(b) > minMessage {
					t.Errorf("%s: %d octets", p, len(b))
				}
				checkSets(t, walk(t, b))
			}
			checkSequence(t, 0, messages)
			sameFlows(t, flowsIn(t, messages), wantFlows(p, goldenDomain, []flow.Record{r}))
			if e.AddTemplates(present) || e.templateSet.done == 0 {
				t.Errorf("%s: the next templates don't begin again", p)
			}
		}
	}
}

func TestEncoderEmpty(t *testing.T) {
	e := NewEncoder(IPFIX, goldenDomain, DefaultMessageSize, RecordOptions{})
	r := sample(0, present)
	steps := []struct {
		name    string
		do      func()
		empty   bool
		records int
	}{
		{"new", func() {}, true, 0},
		{"templates", func() { e.AddTemplates(present) }, false, 2},
		{"record", func() { e.Add(&r, present) }, false, 3},
		{"finished", func() { e.Finish(present) }, true, 0},
		{"next record", func() { e.Add(&r, present) }, false, 1},
	}
	for _, s := range steps {
		if s.do(); e.Empty() != s.empty || e.Records() != s.records {
			t.Errorf("%s: empty %t, %d records", s.name, e.Empty(), e.Records())
		}
	}
}

// TestSequence proves what a sequence counts: messages in v9, in IPFIX the data records sent
// before, including option data. It wraps without a gap.
func TestSequence(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, p := range protocols {
		for _, first := range []uint32{0, 1<<32 - 20} {
			t.Run(fmt.Sprint(p, "/", first), func(t *testing.T) {
				e := NewEncoder(p, goldenDomain, DefaultMessageSize, RecordOptions{})
				e.sequence = first
				var messages [][]byte
				for range 5 { // the templates each time
					messages = append(messages, pack(t, e, mixed(rnd, 200, present), present)...)
				}
				checkSequence(t, first, messages)
				decodeAll(t, messages)
			})
		}
	}
}

func checkSequence(t *testing.T, want uint32, messages [][]byte) {
	t.Helper()
	for i, b := range messages {
		m := walk(t, b)
		if m.sequence != want {
			t.Fatalf("message %d has sequence %d, want %d", i, m.sequence, want)
		}
		if m.protocol == NetFlow9 {
			want++
		} else {
			want += dataRecords(m)
		}
	}
}

func TestHeader(t *testing.T) {
	for _, p := range protocols {
		e := NewEncoder(p, 0xfffefdfc, DefaultMessageSize, RecordOptions{})
		m := walk(t, goldenTemplates(e))
		want := uint32(present / 1e9)
		if p == NetFlow9 {
			want++ // rounded up
		}
		if m.protocol != p || m.seconds != want || m.domain != 0xfffefdfc || m.sequence != 0 {
			t.Errorf("%s: header %+v", p, m)
		}
	}
}

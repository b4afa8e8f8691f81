package export

import (
	"math/rand/v2"
	"testing"
)

// TestEncoderDoesNotAllocate once it is made.
func TestEncoderDoesNotAllocate(t *testing.T) {
	records := mixed(rand.New(rand.NewPCG(5, 6)), 1000, present)
	for _, p := range protocols {
		e := NewEncoder(p, goldenDomain, DefaultMessageSize, RecordOptions{})
		n := testing.AllocsPerRun(10, func() {
			e.AddTemplates(present)
			for i := range records {
				if !e.Add(&records[i], present) {
					e.Finish(present)
					e.Add(&records[i], present)
				}
			}
			e.Finish(present)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations for %d records", p, n, len(records))
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	for _, p := range protocols {
		b.Run(p.String()+"/same", func(b *testing.B) { benchmarkAdd(b, p, 1) })
		b.Run(p.String()+"/mixed", func(b *testing.B) { benchmarkAdd(b, p, templateCount) })
	}
}

// benchmarkAdd measures a record, including its share of the message.
func benchmarkAdd(b *testing.B, p Protocol, kinds int) {
	rnd := rand.New(rand.NewPCG(7, 8))
	e := NewEncoder(p, goldenDomain, DefaultMessageSize, RecordOptions{})
	records := mixed(rnd, 1024, present)
	if kinds == 1 {
		for i := range records {
			records[i] = random(rnd, translatedBit, present)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r := &records[i%len(records)]
		if !e.Add(r, present) {
			e.Finish(present)
			e.Add(r, present)
		}
	}
}

package flow

import (
	"iter"

	"github.com/conntally/conntally/conntrack"
)

// Restore lets the table go on where an earlier life of the program stopped: began
// is when the first life began to count, ns since 1970, and saved what was
// exported since, which the table keeps and changes. Call it before the first dump.
// From then on Notes are kept, which somebody must take.
//
// If the system clock was set back since began, start times don't tell what is older:
// then all counts that is not in saved, where the first life has put what was.
func (t *Table) Restore(began int64, saved map[conntrack.Key]Saved) {
	if began > t.began.Wall {
		began = 0
	}
	t.began.Wall = began
	t.saved, t.noting = saved, true
}

// resume begins a flow where an earlier life's last record ended. Another connection
// that takes its identity later begins anew.
func (t *Table) resume(en *entry, s *Saved, now conntrack.Timestamp) {
	until := min(s.Until, now.Mono)
	en.last, en.begun = s.Sent, s.Sent != [2]conntrack.Counters{}
	en.begin, en.moved, en.seen = until, until, until
	delete(t.saved, en.key)
	t.Stats.Restored.Add(1)
}

// note keeps in mind that all of a living entry is exported, or about to be.
func (t *Table) note(en *entry) {
	if !t.noting {
		return
	}
	until := en.moved
	if en.asleep {
		until = en.seen
	}
	t.notes = append(t.notes, Saved{Key: en.key, Sent: en.last, Until: until})
}

// Notes returns what Saved would tell anew, of each entry of which something was
// exported since the last call. It is valid until the next event.
func (t *Table) Notes() []Saved {
	notes := t.notes
	t.notesPeak = max(t.notesPeak, len(notes))
	t.notes = t.notes[:0]
	return notes
}

// Saved returns how much is exported of each living entry, those included that only
// an earlier life has met.
func (t *Table) Saved() iter.Seq[Saved] {
	return func(yield func(Saved) bool) {
		more := true
		t.index.each(func(en *entry) {
			more = more && yield(en.saved())
		})
		for _, s := range t.saved {
			more = more && yield(s)
		}
	}
}

func (en *entry) saved() Saved {
	until := en.begin
	if en.asleep {
		until = en.seen
	}
	s := Saved{Key: en.key, Sent: en.last, Until: until}
	for d := range s.Sent {
		s.Sent[d].Packets -= en.pending[d].Packets
		s.Sent[d].Bytes -= en.pending[d].Bytes
	}
	return s
}

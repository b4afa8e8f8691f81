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
func (t *Table) Restore(began int64, saved map[conntrack.Key]Checkpoint) {
	if began > t.began.Wall {
		began = 0
	}
	t.began.Wall = began
	t.restored, t.checkpointing = saved, true
}

// resume begins a flow where an earlier life's last record ended. Another connection
// that takes its identity later begins anew.
func (t *Table) resume(en *entry, s *Checkpoint, now conntrack.Timestamp) {
	until := min(s.Until, now.Mono)
	en.last, en.begun = s.Sent, s.Sent != [2]conntrack.Counters{}
	en.begin, en.moved, en.seen = until, until, until
	delete(t.restored, en.key)
	t.Stats.Restored.Add(1)
}

// checkpoint keeps in mind that all of a living entry is exported, or about to be.
func (t *Table) checkpoint(en *entry) {
	if !t.checkpointing {
		return
	}
	until := en.moved
	if en.asleep {
		until = en.seen
	}
	t.fresh = append(t.fresh, Checkpoint{Key: en.key, Sent: en.last, Until: until})
}

// NewCheckpoints returns a Checkpoint of each entry of which something was
// exported since the last call. It is valid until the next event.
func (t *Table) NewCheckpoints() []Checkpoint {
	notes := t.fresh
	t.freshPeak = max(t.freshPeak, len(notes))
	t.fresh = t.fresh[:0]
	return notes
}

// Checkpoints returns how much is exported of each living entry, those included that only
// an earlier life has met.
func (t *Table) Checkpoints() iter.Seq[Checkpoint] {
	return func(yield func(Checkpoint) bool) {
		more := true
		t.index.each(func(en *entry) {
			more = more && yield(en.checkpoint())
		})
		for _, s := range t.restored {
			more = more && yield(s)
		}
	}
}

func (en *entry) checkpoint() Checkpoint {
	until := en.begin
	if en.asleep {
		until = en.seen
	}
	s := Checkpoint{Key: en.key, Sent: en.last, Until: until}
	for d := range s.Sent {
		s.Sent[d].Packets -= en.pending[d].Packets
		s.Sent[d].Bytes -= en.pending[d].Bytes
	}
	return s
}

package flow

import (
	"iter"

	"github.com/conntally/conntally/conntrack"
)

// Checkpoint is how much of a living conntrack entry has been exported: what the next
// run has to know in order to count no byte twice and to lose none.
type Checkpoint struct {
	Key conntrack.Key
	// Sent are the kernel's cumulative counters up to which everything is
	// exported, or was counted before the first run.
	Sent [2]conntrack.Counters
	// Until is when the next record starts if the entry moves again: when the last
	// one ended, or when the entry was last seen idle, ns of CLOCK_MONOTONIC.
	Until int64
}

// Restore makes the table continue where the previous run stopped: began is when the first run
// began to count, ns since 1970, and all has what was exported since, which the table keeps
// and changes. Call it before the first dump. From then on checkpoints are collected, which
// the caller has to take by NewCheckpoints.
//
// If the system clock was set back since began, start times don't show what is older: then
// every entry counts that is not in all, which has those that the first run found.
func (t *Table) Restore(began int64, all map[conntrack.Key]Checkpoint) {
	if began > t.began.Wall {
		began = 0
	}
	t.began.Wall = began
	t.restored, t.unsifted, t.checkpointing = all, true, true
}

// withhold keeps the checkpoint of an entry that is excluded from now on, as that of an entry which
// the previous run exported: another run may include it again.
func (t *Table) withhold(en *entry) {
	if !t.checkpointing {
		return
	}
	if t.restored == nil {
		t.restored = map[conntrack.Key]Checkpoint{}
	}
	t.restored[en.key] = en.checkpoint()
}

// resume begins a flow where the previous run's last record ended. Another connection
// that has the same key later begins from zero.
func (t *Table) resume(en *entry, s *Checkpoint, now conntrack.Timestamp) {
	until := min(s.Until, now.Mono)
	en.last, en.beginExported = s.Sent, s.Sent != [2]conntrack.Counters{}
	en.start, en.lastPacket, en.readAt = until, until, until
	delete(t.restored, en.key)
	t.Stats.Restored.Add(1)
}

// checkpoint records that everything of a living entry is exported, or about to be.
func (t *Table) checkpoint(en *entry) {
	if !t.checkpointing {
		return
	}
	until := en.lastPacket
	if en.idle {
		until = en.readAt
	}
	t.fresh = append(t.fresh, Checkpoint{Key: en.key, Sent: en.last, Until: until})
}

// NewCheckpoints returns a Checkpoint of each entry that was exported, whole or in part, since
// the last call. It is valid until the next event.
func (t *Table) NewCheckpoints() []Checkpoint {
	fresh := t.fresh
	t.freshPeak = max(t.freshPeak, len(fresh))
	t.fresh = t.fresh[:0]
	return fresh
}

// Checkpoints returns a Checkpoint of each living entry, including those that only the
// previous run has seen and those that are excluded since.
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

// checkpoint returns how much of an entry is exported while something is pending.
func (en *entry) checkpoint() Checkpoint {
	until := en.start
	if en.idle {
		until = en.readAt
	}
	s := Checkpoint{Key: en.key, Sent: en.last, Until: until}
	for d := range s.Sent {
		sent, pending := &s.Sent[d], &en.pending[d] // which may be more after a reset
		sent.Packets -= min(sent.Packets, pending.Packets)
		sent.Bytes -= min(sent.Bytes, pending.Bytes)
	}
	return s
}

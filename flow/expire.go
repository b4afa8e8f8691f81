package flow

import "github.com/conntally/conntally/conntrack"

// expire exports a living flow whose time has come. Counters are read once per
// dump, so the active timeout is met at the dump that is nearest to it.
func (t *Table) expire(en *entry, moved bool, e *conntrack.Event) {
	switch {
	case closed(en.key.Orig.Proto, en.state):
		en.asleep = true
		t.exportLiving(en, EndDetected, e)
	case t.rests(en, e.At):
		en.asleep = true
		t.exportLiving(en, EndIdle, e)
	case moved && e.At.Mono-en.begin >= int64(t.options.Active)-t.interval/2:
		t.exportLiving(en, EndActive, e)
		en.begin = en.moved
	}
}

func (t *Table) exportLiving(en *entry, reason EndReason, e *conntrack.Event) {
	if en.hasPending() {
		t.reroute(en, e)
		t.exportNoted(en, reason, e.At)
	}
}

// exportNoted notes first what is exported then: the second of two records may be
// what makes the exporter send the first.
func (t *Table) exportNoted(en *entry, reason EndReason, now conntrack.Timestamp) {
	if en.hasPending() {
		t.checkpoint(en)
		t.export(en, reason, now)
	}
}

// rests tells whether a flow has been idle for long enough. Its last packet passed
// up to timerDoubt before en.moved; taking it at its earliest keeps the
// promise that an idle flow is exported within the timeout and one poll.
func (t *Table) rests(en *entry, now conntrack.Timestamp) bool {
	doubt := min(t.interval, timerDoubt)
	return now.Mono-en.moved >= int64(t.options.Idle)-doubt
}

// ExpectLateEnds tells the table that the kernel could not report some ends yet and is going
// to repeat them, which it does at once when there is room. For a while no end
// is forgotten, and what dumps don't show is not taken to be gone.
func (t *Table) ExpectLateEnds(now conntrack.Timestamp) { t.late = now.Mono + lateFor }

// EndDump is told when a dump has shown every living entry. What the last two
// didn't show is gone, and its DESTROY was lost.
func (t *Table) EndDump(now conntrack.Timestamp) {
	if now.Mono >= t.late {
		t.index.each(func(en *entry) {
			if t.dump-en.dump >= 2 {
				t.expireMissing(en, now)
			}
		})
		t.tombstones.rotate(now)
		if t.overflow.settle() {
			t.restored = nil // what it didn't show is gone
		}
	}
	t.baseline = false
	t.excluded.rotate()
	t.index.endDump()
	t.shrink(now.Mono)
	t.dump++
	t.interval = now.Mono - t.dumps[0].Mono
	t.dumps = [3]conntrack.Timestamp{now, t.dumps[0], t.dumps[1]}
}

func (t *Table) expireMissing(en *entry, now conntrack.Timestamp) {
	t.Stats.MissedDestroys.Add(1)
	if en.key.Start == 0 || en.key.Start >= t.began.Wall { // an older one may report no end
		t.Stats.MissedNew.Add(1)
	}
	t.exportNoted(en, restReason(en), now)
	h := t.index.hash(&en.key)
	t.hasEnded(&en.key, h, &en.last, now)
	t.drop(en, h, now.Mono, now)
}

// Flush exports all that is pending, because the program stops.
func (t *Table) Flush(now conntrack.Timestamp) {
	t.index.each(func(en *entry) {
		t.exportNoted(en, EndForced, now)
		en.begin = en.moved
	})
}

package flow

import (
	"maps"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// applyDump takes an entry of a dump.
func (t *Table) applyDump(e *conntrack.Event) {
	i := t.index.following(e)
	if i == none {
		if i = t.lookup(e); i == none {
			return
		}
		t.index.show(i)
	}
	en := t.index.at(i)
	if t.excluded.before != nil && t.excludesFlow(en, e) {
		return
	}
	t.see(en, e)
	moved := t.addDeltas(en, e)
	if moved {
		en.lastPacket = t.lastPacket(e, en.readAt)
	}
	en.readAt, en.dump = e.At.Mono, t.dump
	if !en.idle {
		t.expire(en, moved, e)
	}
}

// addDeltas adds what moved since the last reading. Without a start time, a counter that
// went down means another connection with the same key.
func (t *Table) addDeltas(en *entry, e *conntrack.Event) (moved bool) {
	if !en.hasRead(&e.Counters) {
		if en.countersReset(&e.Counters) {
			t.Stats.CounterResets.Add(1)
			if en.key.Start == 0 {
				t.replace(en, e)
			} else {
				t.Stats.Zeroed.Add(1)
			}
			en.last = [2]conntrack.Counters{} // the kernel zeroes both directions together
		}
		en.mark = e.Mark
		if moved = en.add(&e.Counters, &t.moved); moved && t.options.Meter != nil {
			en.movedIn, en.moved = t.dump, [2]uint64{t.moved[0].Bytes, t.moved[1].Bytes}
			t.options.Meter.Count(en.slot, &t.moved, e.At)
		}
	}
	en.updateState(e)
	return moved
}

// replace exports what is pending and begins a new flow in the same place.
func (t *Table) replace(en *entry, e *conntrack.Event) {
	if en.hasPending() {
		t.export(en, unreportedReason(en), e.At)
	}
	t.exportNATEvent(en, NATDelete, removedAt(e), e.At)
	t.close(en)
	readAt, next, key := en.readAt, en.next, en.key
	t.begin(en, e, &key)
	t.open(en, e)
	en.start, en.lastPacket, en.readAt, en.next = readAt, readAt, readAt, next
}

// expire exports a living flow by its timeouts. Counters are read once per dump, so the
// active timeout is met at the dump that is nearest to it.
func (t *Table) expire(en *entry, moved bool, e *conntrack.Event) {
	reason := EndReason(0)
	switch {
	case isClosed(en.key.Orig.Proto, en.state):
		reason, en.idle = EndDetected, true
	case t.isIdle(en, e.At):
		reason, en.idle = EndIdle, true
	case moved && e.At.Mono-en.start >= int64(t.options.Active)-t.interval/2:
		reason = EndActive
	}
	if reason != 0 && en.hasPending() {
		en.mark = e.Mark
		t.reroute(en, e)
		t.exportLiving(en, reason, e.At)
	}
	if reason == EndActive {
		en.start = en.lastPacket
	}
}

// isIdle reports whether a flow has been idle for long enough. Its last packet passed up to
// timerDoubt before en.lastPacket; assuming the earliest time ensures that an idle flow is
// exported within the timeout and one poll.
func (t *Table) isIdle(en *entry, now conntrack.Timestamp) bool {
	doubt := min(t.interval, timerDoubt)
	return now.Mono-en.lastPacket >= int64(t.options.Idle)-doubt
}

// applyDestroy takes the end of an entry, which has its final counters. When and why the
// connection ended is computed before anything in the table changes.
func (t *Table) applyDestroy(e *conntrack.Event) {
	if isLocal(e) {
		t.Stats.Excluded.Add(1)
		return
	}
	key := e.Key()
	k := &key
	h := t.index.hash(k)
	i := t.index.find(k, h)
	first := t.isFirst(e)
	repeated := t.buryEntry(k, h, &e.Counters, e.At) && !first && !isRetry(e)
	switch {
	case i != none:
		en := t.index.at(i)
		end := t.endOf(en, e)
		t.see(en, e)
		t.addDeltas(en, e)
		if en.hasPending() {
			en.lastPacket, en.mark = end.lastPacket, e.Mark
			t.reroute(en, e)
		}
		t.finish(en, e, end)
		t.remove(en, h)
	case repeated:
		t.discard(e)
	case t.countsWhole(e, k, h, first):
		t.shortLived(e, k)
	}
}

// shortLived exports an entry that no dump has shown: it came and went between two, or
// it found no room. Its flow is never in the table.
func (t *Table) shortLived(e *conntrack.Event, k *conntrack.Key) {
	en := &t.scratch
	t.begin(en, e, k)
	end := t.endOf(en, e)
	if t.overflow.active && t.overdue(e) {
		end.reason = EndResources
	}
	if !isZero(&en.last) { // the previous run has exported a part
		t.open(en, e)
		t.addDeltas(en, e)
		t.finish(en, e, end)
		t.close(en)
		return
	}
	if en.pending = e.Counters; !en.hasPending() {
		t.observeZeroed(e)
	} else if t.options.Meter != nil {
		t.options.Meter.CountEnded(e, en.path, &en.pending)
	}
	t.finish(en, e, end)
}

// finish exports the rest of a flow, and the end of its translation.
func (t *Table) finish(en *entry, e *conntrack.Event, end ending) {
	if en.hasPending() {
		en.lastPacket = end.lastPacket
		t.export(en, end.reason, e.At)
	}
	t.exportNATEvent(en, NATDelete, end.removed, e.At)
}

// remove removes a flow whose bytes are exported, with the hash of its key.
func (t *Table) remove(en *entry, h uint64) {
	t.close(en)
	k := en.key // index.remove empties en
	t.index.remove(&k, h)
	t.Stats.Flows.Add(-1)
}

// repeatsFor is how long the kernel may take to repeat an end once there is room: it tries
// every 10 ms (ECACHE_RETRY_JIFFIES).
const repeatsFor = int64(5 * time.Second)

// ExpectLateEnds announces that the kernel could not report some ends yet and will repeat them
// as soon as there is room. For a while no end is forgotten, and entries that dumps don't show
// are not taken to be gone.
func (t *Table) ExpectLateEnds(now conntrack.Timestamp) { t.repeatUntil = now.Mono + repeatsFor }

// mostAwaited is for how long an end is awaited. A call of several hours keeps the connection that
// began it.
const mostAwaited = int64(24 * time.Hour)

// AwaitEnds says whether the end of every entry is sure to be reported. If so, a flow that dumps no
// longer show waits for it: the end comes when the entry's memory is freed, which may be hours later
// where other connections refer to the entry, as those of FTP and SIP do. If not, the entry is gone.
func (t *Table) AwaitEnds(await bool) { t.awaitsEnds = await }

// awaits reports whether the end of an entry is still to come that was last read then.
func (t *Table) awaits(readAt int64, now conntrack.Timestamp) bool {
	return t.awaitsEnds && now.Mono-readAt < mostAwaited
}

// EndDump ends a dump that has shown every living entry. An entry that the last two didn't show is
// gone, and its DESTROY was lost, unless it is awaited.
func (t *Table) EndDump(now conntrack.Timestamp) {
	if now.Mono >= t.repeatUntil {
		t.index.each(func(en *entry) {
			switch {
			case t.dump-en.dump < 2:
			case t.awaits(en.readAt, now):
				t.exportLiving(en, unreportedReason(en), now)
				en.idle = true
			default:
				t.expireMissing(en, now)
			}
		})
		t.tombstones.rotate(now)
		if t.overflow.endDump() {
			t.forgetRestored(now)
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

// forgetRestored forgets the entries without a flow that were exported before and that this dump
// didn't show: they are gone, unless they are awaited. Without a start time, another may come that
// looks the same. Those that are excluded it has shown.
func (t *Table) forgetRestored(now conntrack.Timestamp) {
	awaits := t.awaits(t.opened.Mono, now)
	maps.DeleteFunc(t.restored, func(k conntrack.Key, _ Checkpoint) bool {
		gone := !awaits || t.unsifted && k.Start == 0
		return gone && !t.excluded.has(t.index.hash(&k))
	})
	switch {
	case len(t.restored) == 0:
		t.restored = nil
	case t.unsifted:
		t.restored = maps.Collect(maps.All(t.restored)) // a map never shrinks
	}
	t.unsifted = false
}

// expireMissing ends a flow whose entry is gone without a DESTROY.
func (t *Table) expireMissing(en *entry, now conntrack.Timestamp) {
	t.vanished = now
	t.Stats.MissedDestroys.Add(1)
	if en.key.Start == 0 || en.key.Start >= t.began.Wall { // an older one may report no end
		t.Stats.MissedNew.Add(1)
	}
	h := t.index.hash(&en.key)
	t.buryEntry(&en.key, h, &en.last, now)
	t.exportLiving(en, unreportedReason(en), now)
	t.exportNATEvent(en, NATDelete, now.Mono, now)
	t.remove(en, h)
}

// Flush exports all that is pending, because the program stops.
func (t *Table) Flush(now conntrack.Timestamp) {
	t.index.each(func(en *entry) {
		t.exportLiving(en, EndForced, now)
		en.start = en.lastPacket
	})
}

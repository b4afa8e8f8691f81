package flow

import "time"

// Memory that many flows took is given back once most of them have been gone for a while.

const (
	// shrinkEvery is how often the table compares what it holds with what it has room for.
	// Memory that nothing needed throughout such a period is given back at its end, so
	// at the latest twice this long after it was last needed.
	shrinkEvery = int64(4 * time.Minute)
	// shrinkShare is how many times more than needed there must be room for: a table that
	// comes and goes with the day keeps its room.
	shrinkShare = 10
)

// shrink gives back memory, if that is due. Entries change their places.
func (t *Table) shrink(now int64) {
	if now-t.shrunk < shrinkEvery {
		return
	}
	t.shrunk = now
	t.index.shrink()
	for _, set := range t.hashSets() {
		set.shrink()
	}
	if t.freshPeak = max(t.freshPeak, len(t.fresh)); shrinkShare*t.freshPeak < cap(t.fresh) {
		t.fresh = append(make([]Checkpoint, 0, t.freshPeak), t.fresh...)
	}
	t.freshPeak = 0
}

// hashSets returns all that grow with connections.
func (t *Table) hashSets() [4]*hashSet {
	return [...]*hashSet{&t.tombstones.current, &t.tombstones.previous, &t.excluded.current, &t.excluded.previous}
}

// shrink compacts x where it had room for far more entries than there were since the
// last call.
func (x *index) shrink() {
	room := len(x.chunks) * chunkSize
	if room > chunkSize && shrinkShare*x.peak < room {
		x.compact()
	}
	x.peak = x.len()
}

// compact moves all entries into as little memory as holds them, in the order of dumps.
// Whatever holds a place or an entry must forget it.
func (x *index) compact() {
	to, living := x.order()
	chunks := make([]*[chunkSize]entry, (len(living)+chunkSize-1)/chunkSize)
	for i := range chunks {
		chunks[i] = new([chunkSize]entry)
	}
	for i, from := range living {
		en := &chunks[i/chunkSize][i%chunkSize]
		*en = *x.at(from)
		en.after = x.moved(to, en.after)
	}
	x.relink(to)
	x.chunks, x.places, x.free = chunks, len(living), nil
	x.resize(slotsFor(len(living)))
}

// shrink makes s smaller where it had room for far more hashes than there were since the
// last call.
func (s *hashSet) shrink() {
	if len(s.slots) > minSlots && shrinkShare*s.peak < len(s.slots) {
		s.compact()
	}
	s.peak = s.n
}

// compact gives s the size that its hashes need.
func (s *hashSet) compact() { s.resize(slotsFor(s.n)) }

// slotsFor returns how many slots n entries need, and some to come: a power of two.
func slotsFor(n int) int {
	slots := minSlots
	for slots < 2*n {
		slots *= 2
	}
	return slots
}

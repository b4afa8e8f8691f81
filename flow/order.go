package flow

// A dump shows entries in the order of the kernel's hash table, but they were placed in the
// order of their arrival, so that each step of a dump misses the CPU's caches. If the two
// orders have become too different, the entries are moved into the order of dumps.

const (
	sortFrom  = 2048 // entries; fewer fit into a cache anyway
	sortShare = 2    // unordered if more than one of so many steps is a jump
)

// unordered reports whether the dump that has ended jumped a lot.
func (x *index) unordered() bool {
	return x.len() >= sortFrom && sortShare*x.jumps > x.len()
}

// sort moves the entries into the order in which the last dump showed them, in
// place. Places and entries known before are invalid then.
func (x *index) sort() {
	to, living := x.order()
	for _, i := range living {
		en := x.at(i)
		en.next = x.moved(to, en.next)
	}
	x.relink(to)
	n := place(len(living)) // the empty places go behind
	for i := range to {
		if to[i] == none {
			to[i] = n
			n++
		}
	}
	x.permute(to)
	x.free = x.free[:0]
	x.places = len(living)
}

// moved returns the new place of the entry at place i, none where that is gone.
func (x *index) moved(to []place, i place) place {
	if i == none {
		return none
	}
	return to[i]
}

// relink makes slots and first refer to place to[i] instead of place i.
func (x *index) relink(to []place) {
	for i := range x.slots {
		if at := &x.slots[i].at; *at != 0 {
			*at = to[*at-1] + 1
		}
	}
	x.first = x.moved(to, x.first)
	x.shown = none
}

// order returns the new place of each old one, none for those that are empty, and the
// old places in the new order: first the entries of the last dump in its order, then
// the rest.
func (x *index) order() (to, living []place) {
	to, living = make([]place, x.places), make([]place, 0, x.len())
	for i := range to {
		to[i] = none
	}
	put := func(i place) {
		to[i] = place(len(living))
		living = append(living, i)
	}
	for i := x.first; i != none && to[i] == none && x.at(i).used(); i = x.at(i).next {
		put(i)
	}
	for i := range place(x.places) {
		if to[i] == none && x.at(i).used() {
			put(i)
		}
	}
	return to, living
}

// permute moves each entry i to place to[i], and overwrites to.
func (x *index) permute(to []place) {
	for i := range place(len(to)) {
		for to[i] != i {
			j := to[i]
			a, b := x.at(i), x.at(j)
			*a, *b = *b, *a
			to[i], to[j] = to[j], j
		}
	}
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
// Places and entries known before are invalid then.
func (x *index) compact() {
	to, living := x.order()
	chunks := make([]*[chunkSize]entry, (len(living)+chunkSize-1)/chunkSize)
	for i := range chunks {
		chunks[i] = new([chunkSize]entry)
	}
	for i, from := range living {
		en := &chunks[i/chunkSize][i%chunkSize]
		*en = *x.at(from)
		en.next = x.moved(to, en.next)
	}
	x.relink(to)
	x.chunks, x.places, x.free = chunks, len(living), nil
	x.resize(slotsFor(len(living)))
}

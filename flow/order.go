package flow

// A dump shows entries in the order of the kernel's hash table, while they were
// placed in the order of their arrival: each step then goes to memory that no
// cache has. So the entries are moved into the order of dumps where that has
// become too different.

const (
	sortFrom  = 2048 // entries; fewer fit into a cache anyway
	sortShare = 2    // where more than one in so many steps is a jump
)

// unordered tells whether the dump that is over jumped a lot.
func (x *index) unordered() bool {
	return x.len() >= sortFrom && sortShare*x.jumps > x.len()
}

// sort moves the entries into the order in which the last dump showed them, in
// place. Whoever holds a place or an entry must forget it.
func (x *index) sort() {
	to := x.order()
	moved := func(i place) place {
		if i == none || !x.at(i).used() {
			return none
		}
		return to[i]
	}
	for i := range to {
		en := x.at(place(i))
		en.after = moved(en.after)
	}
	for i := range x.slots {
		if at := &x.slots[i].at; *at != 0 {
			*at = to[*at-1] + 1
		}
	}
	x.first = moved(x.first)
	living := x.len()
	x.permute(to)
	x.free = x.free[:0]
	x.places = living // the empty places are the last ones now
	x.shown = none
}

// order returns the new place of each old one: first what the last dump showed, as it
// showed it, then the rest, then what is empty.
func (x *index) order() []place {
	to := make([]place, x.places)
	for i := range to {
		to[i] = none
	}
	n := place(0)
	put := func(i place) {
		to[i] = n
		n++
	}
	for i := x.first; i != none && to[i] == none && x.at(i).used(); i = x.at(i).after {
		put(i)
	}
	for _, used := range []bool{true, false} {
		for i := range place(x.places) {
			if to[i] == none && x.at(i).used() == used {
				put(i)
			}
		}
	}
	return to
}

// permute moves each entry i to place to[i], and uses to up.
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

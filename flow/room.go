package flow

// turnedAway is what has to be known as long as some living entries may have found
// no room in the table.
type turnedAway struct {
	any    bool // some may have
	lately bool // one did since the last dump ended
	// older are those of which not all counts, by the hash of their key.
	older map[uint64]struct{}
}

// olderMost bounds that memory, at some 20 B each.
const olderMost = 1 << 20

func (a *turnedAway) add(h uint64, older bool) {
	a.any, a.lately = true, true
	if !older || len(a.older) >= olderMost {
		return
	}
	if a.older == nil {
		a.older = map[uint64]struct{}{}
	}
	a.older[h] = struct{}{}
}

func (a *turnedAway) isOlder(h uint64) bool {
	_, older := a.older[h]
	return older
}

// forget lets go of one that has found room or has ended.
func (a *turnedAway) forget(h uint64) { delete(a.older, h) }

// settle marks the end of a dump, and tells whether it found room for all entries.
func (a *turnedAway) settle() bool {
	if !a.lately {
		*a = turnedAway{}
	}
	a.lately = false
	return !a.any
}

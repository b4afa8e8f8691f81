package flow

// overflow is what has to be known as long as some living entries may have found
// no room in the table.
type overflow struct {
	any    bool // some may have
	lately bool // one did since the last dump ended
	// older are those of which not all counts, by the hash of their key.
	older map[uint64]struct{}
}

// maxOverflow bounds that memory, at some 20 B each.
const maxOverflow = 1 << 20

func (a *overflow) add(h uint64, older bool) {
	a.any, a.lately = true, true
	if !older || len(a.older) >= maxOverflow {
		return
	}
	if a.older == nil {
		a.older = map[uint64]struct{}{}
	}
	a.older[h] = struct{}{}
}

func (a *overflow) isOlder(h uint64) bool {
	_, older := a.older[h]
	return older
}

// forget lets go of one that has found room or has ended.
func (a *overflow) forget(h uint64) { delete(a.older, h) }

// settle marks the end of a dump, and tells whether it found room for all entries.
func (a *overflow) settle() bool {
	if !a.lately {
		*a = overflow{}
	}
	a.lately = false
	return !a.any
}

package decode

import "slices"

// holdFor is how long a data set waits for its template, in seconds of the exporter's clock:
// exporters repeat templates more often than that.
const holdFor = 180

// shortestHeld is the size of the shortest records, in bytes, that may wait: those of a hostile
// template would be many.
const shortestHeld = 6

// shortest returns how many bytes a record has at least.
func (t *template) shortest() (n int) {
	for _, f := range t.fields {
		if f.length == variableLength {
			n++
		} else {
			n += int(f.length)
		}
	}
	return n
}

// A holder keeps data sets until their template comes.
type holder struct {
	sets  []heldSet
	bytes int
	most  int  // bytes
	room  *int // bytes that holders of all sources may still keep
}

type heldSet struct {
	header header // of its message
	set    set
}

func (k *holder) isEmpty() bool { return len(k.sets) == 0 }

// add keeps a copy of a data set, if there is room for it.
func (k *holder) add(h header, data set) bool {
	size := len(data.bytes)
	if size > *k.room || k.bytes+size > k.most {
		return false
	}
	h.sets = nil
	data.bytes = slices.Clone(data.bytes)
	k.sets = append(k.sets, heldSet{h, data})
	k.bytes += size
	*k.room -= size
	return true
}

// take returns the data sets of a template, which aren't kept any more.
func (k *holder) take(id uint16) []heldSet {
	return k.remove(func(w heldSet) bool { return w.set.id == id })
}

// expire drops data sets that have waited for long, and returns how many.
func (k *holder) expire(exported uint32) int {
	return len(k.remove(func(w heldSet) bool {
		return int32(exported-w.header.exported) > holdFor
	}))
}

// drop drops all data sets, and returns how many.
func (k *holder) drop() int { return len(k.remove(func(heldSet) bool { return true })) }

func (k *holder) remove(which func(heldSet) bool) (removed []heldSet) {
	kept := k.sets[:0]
	for _, w := range k.sets {
		if !which(w) {
			kept = append(kept, w)
			continue
		}
		removed = append(removed, w)
		k.bytes -= len(w.set.bytes)
		*k.room += len(w.set.bytes)
	}
	clear(k.sets[len(kept):])
	if k.sets = kept; len(kept) == 0 {
		k.sets = nil
	}
	return removed
}

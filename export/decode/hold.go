package decode

import (
	"net/netip"
	"slices"
)

// holdFor is how long a data set waits for its template, in seconds: exporters repeat templates
// more often than that.
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
	since  int64 // when Expire first found it, monotonic
	found  bool  // since is valid
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
	k.sets = append(k.sets, heldSet{header: h, set: data})
	k.bytes += size
	*k.room -= size
	return true
}

// take returns the data sets of a template, which aren't kept any more.
func (k *holder) take(id uint16) []heldSet {
	return k.remove(func(w heldSet) bool { return w.set.id == id })
}

// expire drops data sets that have waited for long by the exporter's clock, and returns how many.
func (k *holder) expire(exported uint32) int {
	return len(k.remove(func(w heldSet) bool {
		return int32(exported-w.header.exported) > holdFor
	}))
}

// expireAt drops data sets that have waited for long by the clock of Expire, and returns how many.
func (k *holder) expireAt(mono int64) int {
	for i := range k.sets {
		if w := &k.sets[i]; !w.found {
			w.since, w.found = mono, true
		}
	}
	return len(k.remove(func(w heldSet) bool { return mono-w.since > holdFor*1e9 }))
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

// Unknown is how many data sets of a source were dropped, as their template has not come.
type Unknown struct {
	Exporter netip.AddrPort // the zero one: of sources that are too many to be listed
	Version  uint16
	Domain   uint32
	Sets     int
}

// Expire drops data sets that have waited for their template for three minutes since a call of
// Expire first found them, by a clock in nanoseconds that only advances. It returns all that were
// dropped since the last call and are in no Message: without it, those of a source that sends
// nothing more would wait for ever.
func (d *Decoder) Expire(mono int64) []Unknown {
	return d.dropHeld(func(k *holder) int { return k.expireAt(mono) })
}

// DropHeld drops all data sets that wait, at the end, and returns them like Expire.
func (d *Decoder) DropHeld() []Unknown { return d.dropHeld((*holder).drop) }

func (d *Decoder) dropHeld(drop func(*holder) int) (all []Unknown) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, s := range d.sources {
		d.drop(key, drop(&s.held))
	}
	for key, n := range d.dropped {
		all = append(all, Unknown{key.exporter, key.version, key.domain, n})
	}
	clear(d.dropped)
	return all
}

// drop counts data sets that were dropped outside a Message.
func (d *Decoder) drop(key sourceKey, sets int) {
	if sets == 0 {
		return
	}
	d.counters.UnknownSets += uint64(sets)
	if _, listed := d.dropped[key]; !listed && len(d.dropped) >= d.options.MaxExporters {
		key = sourceKey{}
	}
	d.dropped[key] += sets
}

package conntracktest

import (
	"slices"

	"github.com/conntally/conntally/conntrack"
)

// chunkSize bounds one datagram of a dump, as the kernel does for a reader with
// a buffer of 32 KiB.
const chunkSize = 32448

// table holds the living entries in the order of their creation, encoded in
// the datagrams that a dump hands out.
type table struct {
	byKey   map[conntrack.Key]*entry
	chunks  []*chunk
	scratch []byte
}

// entry is one connection, and its place in its chunk.
type entry struct {
	event conntrack.Event
	in    *chunk
	at    int
	size  int
}

// chunk is one datagram. Stale: its bytes have to be encoded again.
type chunk struct {
	entries []*entry
	bytes   []byte
	stale   bool
}

func newTable() table { return table{byKey: make(map[conntrack.Key]*entry)} }

// add encodes a new entry at the end.
func (t *table) add(e conntrack.Event) {
	t.scratch = AppendEntry(t.scratch[:0], &e)
	n := &entry{event: e, in: t.room(len(t.scratch))}
	t.byKey[e.Key()] = n
	n.in.entries = append(n.in.entries, n)
	n.place(t.scratch)
}

// room returns the last chunk, if size more bytes fit into it, or a new one.
func (t *table) room(size int) *chunk {
	if n := len(t.chunks); n > 0 {
		if c := t.chunks[n-1]; !c.stale && len(c.bytes)+size <= chunkSize {
			return c
		}
	}
	c := &chunk{bytes: make([]byte, 0, chunkSize)}
	t.chunks = append(t.chunks, c)
	return c
}

// place appends the encoded entry to its chunk.
func (n *entry) place(b []byte) {
	n.at, n.size = len(n.in.bytes), len(b)
	n.in.bytes = append(n.in.bytes, b...)
}

// changed encodes an entry again, in its place if it still fits.
func (t *table) changed(n *entry) {
	if n.in.stale {
		return
	}
	t.scratch = AppendEntry(t.scratch[:0], &n.event)
	if len(t.scratch) != n.size {
		n.in.stale = true
		return
	}
	copy(n.in.bytes[n.at:], t.scratch)
}

func (t *table) remove(n *entry) {
	delete(t.byKey, n.event.Key())
	i := slices.Index(n.in.entries, n)
	n.in.entries = slices.Delete(n.in.entries, i, i+1)
	n.in.stale = true
}

// chunk returns the i-th datagram, empty if its entries have all gone.
func (t *table) chunk(i int) []byte {
	if c := t.chunks[i]; c.stale {
		t.encode(i)
	}
	return t.chunks[i].bytes
}

// encode encodes a chunk again. Entries that don't fit any more move to a chunk of their own.
func (t *table) encode(i int) {
	c := t.chunks[i]
	c.bytes, c.stale = c.bytes[:0], false
	for j, n := range c.entries {
		t.scratch = AppendEntry(t.scratch[:0], &n.event)
		if len(c.bytes)+len(t.scratch) > chunkSize {
			t.split(i, j)
			return
		}
		n.place(t.scratch)
	}
}

// split moves the entries of chunk i from the j-th on to a new chunk behind it.
func (t *table) split(i, j int) {
	c := t.chunks[i]
	rest := &chunk{
		entries: slices.Clone(c.entries[j:]), bytes: make([]byte, 0, chunkSize), stale: true,
	}
	for _, n := range rest.entries {
		n.in = rest
	}
	c.entries = slices.Delete(c.entries, j, len(c.entries))
	t.chunks = slices.Insert(t.chunks, i+1, rest)
}

// pack joins chunks that have become small. There must be no dump in progress.
func (t *table) pack() {
	for i := 0; i < len(t.chunks); i++ {
		t.chunk(i)
	}
	packed := t.chunks[:0]
	for _, c := range t.chunks {
		switch {
		case len(c.bytes) == 0:
		case len(packed) > 0 && len(packed[len(packed)-1].bytes)+len(c.bytes) <= chunkSize:
			packed[len(packed)-1].join(c)
		default:
			packed = append(packed, c)
		}
	}
	clear(t.chunks[len(packed):])
	t.chunks = packed
}

// join appends d's entries and bytes.
func (c *chunk) join(d *chunk) {
	for _, n := range d.entries {
		n.in, n.at = c, n.at+len(c.bytes)
	}
	c.entries = append(c.entries, d.entries...)
	c.bytes = append(c.bytes, d.bytes...)
}

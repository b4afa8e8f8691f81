package flow

import "github.com/conntally/conntally/conntrack"

// toSelf reports whether a host talks to itself, which never makes a flow. What is
// translated away from loopback leaves the host: a port of 127.0.0.1 that leads to a
// container.
func toSelf(e *conntrack.Event) bool {
	orig, reply := &e.Orig, &e.Reply
	if orig.Src != orig.Dst && !orig.Src.IsLoopback() && !orig.Dst.IsLoopback() {
		return false
	}
	away := reply.Src != orig.Dst && !reply.Src.IsLoopback() || reply.Dst != orig.Src && !reply.Dst.IsLoopback()
	return !away || reply.Src == reply.Dst
}

// leftOut remembers the connections that Options.Skip leaves out, by the hash of
// their key, so that each is judged once. It forgets what a whole dump didn't show.
type leftOut struct {
	current, previous hashes
	// before holds those that were left out until the options changed, while the
	// dump goes on in which all are judged anew.
	before *hashes
}

func newLeftOut() leftOut { return leftOut{current: newHashes(), previous: newHashes()} }

// leftOutMost bounds each half of the memory, at 11 to 22 B each. What is beyond is
// judged at each sight.
const leftOutMost = 1 << 20

func (l *leftOut) add(h uint64) {
	if l.current.len() < leftOutMost {
		l.current.add(h)
	}
}

func (l *leftOut) has(h uint64) bool { return l.current.has(h) || l.previous.has(h) }

// was tells whether h was left out until the options changed.
func (l *leftOut) was(h uint64) bool { return l.before != nil && l.before.has(h) }

// anew begins the dump in which all connections are judged anew.
func (l *leftOut) anew() {
	if l.before == nil {
		l.before = new(newHashes())
	}
	for _, half := range []*hashes{&l.current, &l.previous} {
		for _, h := range half.slots {
			if h != 0 {
				l.before.add(h)
			}
		}
		half.clear()
	}
}

// rotate marks the end of a dump.
func (l *leftOut) rotate() {
	l.before = nil
	l.previous.clear()
	l.current, l.previous = l.previous, l.current
}

// skips tells whether a connection that has no flow is left out, and remembers what
// Options.Skip says.
func (t *Table) skips(e *conntrack.Event, h uint64) bool {
	if toSelf(e) {
		return true
	}
	if !t.left.has(h) && (t.options.Skip == nil || !t.options.Skip(e)) {
		return false
	}
	t.left.add(h)
	return true
}

// Reconfigure changes the options but Routes. All connections are judged anew, those
// with a flow at the next dump. What is included from now on counts from now on.
func (t *Table) Reconfigure(o Options) {
	o.Routes = t.options.Routes
	t.options = o
	t.left.anew()
}

// dismissed ends a flow that changed options leave out. What it had moved up to the
// last reading is exported.
func (t *Table) dismissed(en *entry, e *conntrack.Event) bool {
	if t.options.Skip == nil || !t.options.Skip(e) {
		return false
	}
	t.exportNoted(en, EndForced, e.At)
	h := t.index.hash(&en.key)
	t.left.add(h)
	t.drop(en, h, e.At.Mono, e.At)
	return true
}

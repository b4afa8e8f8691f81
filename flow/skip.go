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

// exclusions remembers the connections that Options.Exclude leaves out, by the hash of
// their key, so that each is judged once. It forgets what a whole dump didn't show.
type exclusions struct {
	current, previous hashSet
	// before holds those that were left out until the options changed, while the
	// dump goes on in which all are judged anew.
	before *hashSet
}

func newExcluded() exclusions { return exclusions{current: newHashSet(), previous: newHashSet()} }

// maxExcluded bounds each half of the memory, at 11 to 22 B each. What is beyond is
// judged at each sight.
const maxExcluded = 1 << 20

func (l *exclusions) add(h uint64) {
	if l.current.len() < maxExcluded {
		l.current.add(h)
	}
}

func (l *exclusions) has(h uint64) bool { return l.current.has(h) || l.previous.has(h) }

// was tells whether h was left out until the options changed.
func (l *exclusions) was(h uint64) bool { return l.before != nil && l.before.has(h) }

// anew begins the dump in which all connections are judged anew.
func (l *exclusions) anew() {
	if l.before == nil {
		l.before = new(newHashSet())
	}
	for _, half := range []*hashSet{&l.current, &l.previous} {
		for _, h := range half.slots {
			if h != 0 {
				l.before.add(h)
			}
		}
		half.clear()
	}
}

// rotate marks the end of a dump.
func (l *exclusions) rotate() {
	l.before = nil
	l.previous.clear()
	l.current, l.previous = l.previous, l.current
}

// excludes tells whether a connection that has no flow is left out, and remembers what
// Options.Exclude says.
func (t *Table) excludes(e *conntrack.Event, h uint64) bool {
	if toSelf(e) {
		return true
	}
	if !t.excluded.has(h) && (t.options.Exclude == nil || !t.options.Exclude(e)) {
		return false
	}
	t.excluded.add(h)
	return true
}

// Reconfigure changes the options but Routes. All connections are judged anew, those
// with a flow at the next dump. What is included from now on counts from now on.
func (t *Table) Reconfigure(o Options) {
	o.Routes = t.options.Routes
	t.options = o
	t.excluded.anew()
}

// dismissed ends a flow that changed options leave out. What it had moved up to the
// last reading is exported.
func (t *Table) dismissed(en *entry, e *conntrack.Event) bool {
	if t.options.Exclude == nil || !t.options.Exclude(e) {
		return false
	}
	t.exportNoted(en, EndForced, e.At)
	h := t.index.hash(&en.key)
	t.excluded.add(h)
	t.drop(en, h, e.At.Mono, e.At)
	return true
}

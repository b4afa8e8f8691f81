package condition

import (
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Timestamp is one moment on two clocks, in nanoseconds: monotonic, and since 1970. A
// conntrack.Timestamp can be assigned to it.
type Timestamp = struct{ Mono, Wall int64 }

// repeatAfter is how often a lasting condition is logged.
const repeatAfter = time.Minute

// Tracker knows which conditions hold. Any goroutine may use it.
type Tracker struct {
	log         *zap.Logger
	definitions map[ID]place

	mu   sync.Mutex
	held map[key]*held
}

type place struct {
	Definition
	order int
}

type key struct {
	id      ID
	subject string
}

// held is a condition that holds, or that was logged less than repeatAfter ago.
type held struct {
	Condition
	holds  bool
	noted  bool  // it was logged since it began
	raised int64 // when it was last raised, monotonic
	logged int64 // when it was last logged, monotonic
}

// NewTracker returns a Tracker of the conditions in a list, by which none holds.
func NewTracker(log *zap.Logger, list []Definition) *Tracker {
	t := &Tracker{log: log, definitions: map[ID]place{}, held: map[key]*held{}}
	for i, d := range list {
		t.definitions[d.ID] = place{d, i}
	}
	return t
}

// Raise records that c holds at now. ID identifies it, with Subject if there are several.
// Severity, Message and Since are ignored; Severity and Message, and other empty fields, are
// filled in from the definition. It is logged at once, and once a minute while it lasts.
func (t *Tracker) Raise(now Timestamp, c Condition) {
	d, known := t.definitions[c.ID]
	if !known {
		panic("condition: no definition of " + string(c.ID))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	k := key{c.ID, c.Subject}
	h := t.held[k]
	if h == nil {
		h = &held{logged: now.Mono - int64(repeatAfter)}
		t.held[k] = h
	}
	since := h.Since
	c = d.complete(c)
	c.Since = since
	if !h.holds {
		c.Since, h.holds, h.noted = time.Unix(0, now.Wall), true, false
	}
	h.Condition, h.raised = c, now.Mono
	t.write(h, now.Mono)
}

// Clear records that a condition doesn't hold any more. Subject is that of Raise.
func (t *Tracker) Clear(id ID, subject string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.held[key{id, subject}]; h != nil {
		t.clear(h)
	}
}

// Observe records which of the conditions ids hold at now: those in list.
func (t *Tracker) Observe(now Timestamp, list []Condition, ids ...ID) {
	holding := map[key]bool{}
	for _, c := range list {
		holding[key{c.ID, c.Subject}] = true
		t.Raise(now, c)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, h := range t.held {
		if slices.Contains(ids, k.id) && !holding[k] {
			t.clear(h)
		}
	}
}

// Tick logs lasting conditions again, and clears events that are over. Call it several times a
// minute.
func (t *Tracker) Tick(now Timestamp) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.sorted() {
		if t.definitions[h.ID].Event && h.holds && now.Mono-h.raised >= int64(EventLasts) {
			t.clear(h)
		}
		if h.holds {
			t.write(h, now.Mono)
		} else if now.Mono-h.logged >= int64(repeatAfter) {
			delete(t.held, key{h.ID, h.Subject})
		}
	}
}

// write logs a condition, unless it was logged less than a minute ago.
func (t *Tracker) write(h *held, mono int64) {
	if mono-h.logged < int64(repeatAfter) || h.noted && t.definitions[h.ID].Once {
		return
	}
	h.logged, h.noted = mono, true
	fields := t.name(h)
	for _, f := range []struct{ key, text string }{
		{"detail", h.Detail}, {"fix", h.Fix}, {"advice", h.Advice},
	} {
		if f.text != "" {
			fields = append(fields, zap.String(f.key, f.text))
		}
	}
	t.log.Warn(h.Message, fields...)
}

func (t *Tracker) clear(h *held) {
	if h.holds && h.noted {
		t.log.Info("resolved: "+h.Message, t.name(h)...)
	}
	h.holds = false
}

// name returns the fields that name a condition.
func (t *Tracker) name(h *held) []zap.Field {
	fields := []zap.Field{zap.String("condition", string(h.ID))}
	if h.Subject != "" {
		fields = append(fields, zap.String(t.definitions[h.ID].Subjects, h.Subject))
	}
	return fields
}

// Holds reports whether a condition holds, of any subject.
func (t *Tracker) Holds(id ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, h := range t.held {
		if k.id == id && h.holds {
			return true
		}
	}
	return false
}

// Snapshot returns what holds, in the list's order and then by subject.
func (t *Tracker) Snapshot() []Condition {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := []Condition{} // JSON has [], not null
	for _, h := range t.sorted() {
		if h.holds {
			list = append(list, h.Condition)
		}
	}
	return list
}

func (t *Tracker) sorted() []*held {
	list := make([]*held, 0, len(t.held))
	for _, h := range t.held {
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b *held) int {
		if a.ID != b.ID {
			return t.definitions[a.ID].order - t.definitions[b.ID].order
		}
		return strings.Compare(a.Subject, b.Subject)
	})
	return list
}

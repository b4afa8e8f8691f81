package services

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// world is a machine on which units start, move something and stop, in random order.
type world struct {
	random  *rand.Rand
	retains bool // counters can be read after a stop, until the next start
	units   []worldUnit
	journal []End
	late    int  // entries at the end of the journal that are not to be seen yet
	still   bool // nothing happens while units are read
	failing bool
	moved   map[string]usage.Counters // in all, by unit
}

type worldUnit struct {
	name        string
	running     bool
	invocation  int
	moved       usage.Counters
	hasCounters bool
}

func newWorld(seed uint64) *world {
	w := &world{random: rand.New(rand.NewPCG(seed, 1)), moved: map[string]usage.Counters{}}
	w.retains = w.random.IntN(2) == 0
	for i := range 5 {
		w.units = append(w.units, worldUnit{name: fmt.Sprintf("u%d.service", i)})
	}
	return w
}

func (w *world) live() {
	u := &w.units[w.random.IntN(len(w.units))]
	switch {
	case !u.running:
		u.running, u.hasCounters, u.moved = true, true, usage.Counters{}
		u.invocation++
	case w.random.IntN(3) == 0:
		u.running, u.hasCounters = false, w.retains
		w.journal = append(w.journal, End{
			Reading: u.reading(), HasCounters: true, At: noon, Cursor: strconv.Itoa(len(w.journal) + 1),
		})
		w.late++
	default:
		n := counters(uint64(w.random.IntN(1000)))
		u.moved.Add(n)
		sum := w.moved[u.name]
		sum.Add(n)
		w.moved[u.name] = sum
	}
}

func (u *worldUnit) reading() Reading {
	return Reading{Unit: u.name, Invocation: strconv.Itoa(u.invocation), Moved: u.moved}
}

// Units is the Manager's. Things go on while it is asked.
func (w *world) Units(_ context.Context, known func(string) bool) (readings []Reading, err error) {
	for i := range w.units {
		if u := &w.units[i]; u.hasCounters && (u.running || known(u.name)) {
			readings = append(readings, u.reading())
		}
		if w.fails() {
			return readings, errors.New("D-Bus broke off")
		}
		if !w.still {
			w.live()
		}
	}
	return readings, nil
}

// Read is the Log's. The latest entries may not have been written yet.
func (w *world) Read(_ context.Context, cursor string, fn func(*End)) error {
	from, err := strconv.Atoi(cursor)
	if err != nil {
		return err
	}
	to := max(from, len(w.journal)-w.late)
	for i := from; i < to; i++ {
		e := w.journal[i]
		fn(&e)
		if w.fails() {
			return errors.New("the journal broke off")
		}
	}
	w.late = w.random.IntN(w.late + 1)
	return nil
}

func (w *world) fails() bool { return w.failing && w.random.IntN(20) == 0 }

// Last is the Log's.
func (w *world) Last(context.Context) (string, error) {
	return strconv.Itoa(len(w.journal) - w.late), nil
}

// TestSumsAreExact has units and conntally-history start, stop, crash and fail in random order;
// in the end the database has what was moved, to the byte.
func TestSumsAreExact(t *testing.T) {
	for seed := range uint64(500) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			sumsAreExact(t, newWorld(seed))
		})
	}
}

func sumsAreExact(t *testing.T, w *world) {
	data := database{moved: map[string]usage.Counters{}}
	restart := func() *Poller { return New(w, w, utc, data.states, data.cursor) }
	p := restart()
	poll := func() { _ = p.Poll(t.Context(), noon) } // what fails is made up for
	flush := func() {
		var b usage.Batch
		p.Take(&b)
		if w.fails() {
			p.PutBack(&b)
			return
		}
		data.write(&b)
	}
	w.still = true
	poll() // the baseline, with nothing moved yet; later starts are not the first
	flush()
	w.still, w.failing = false, true
	for range 400 {
		switch w.random.IntN(12) {
		case 0, 1, 2:
			poll()
		case 3:
			flush()
		case 4:
			if w.random.IntN(3) == 0 {
				p = restart()
			}
		default:
			w.live()
		}
	}
	w.failing, w.still, w.late = false, true, 0
	if err := p.Poll(t.Context(), noon); err != nil {
		t.Fatal(err)
	}
	flush()
	for _, u := range w.units {
		if got, want := data.moved[u.name], w.moved[u.name]; got != want {
			t.Errorf("%s has %+v, moved %+v", u.name, got, want)
		}
	}
}

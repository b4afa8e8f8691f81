package ctnetlink_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// sparseBuckets is so large that single entries are asked for.
const sparseBuckets = 1 << 18

// newSparse returns a fixture in whose table n entries live, after a first dump.
func newSparse(t *testing.T, n int) *fixture {
	t.Helper()
	f := newFixture(n)
	f.SetBuckets(sparseBuckets)
	must(t, f.dump())
	f.seen = nil
	return f
}

// shown returns the living entries that the last dump has shown, and how often each.
func (f *fixture) shown() map[conntrack.Key]int {
	all := map[conntrack.Key]int{}
	for i := range f.seen {
		if f.seen[i].Type == conntrack.Dump {
			all[f.seen[i].Key()]++
		}
	}
	return all
}

// TestEmptyTableIsNotWalked proves that nothing is requested of a table without entries, and that
// its next entries are found.
func TestEmptyTableIsNotWalked(t *testing.T) {
	f := newSparse(t, 0)
	must(t, f.dump())
	if n := f.Requested(); n != 0 {
		t.Errorf("%d dumps", n)
	}
	key := f.Create(conntrack.Event{Orig: client(1)})
	must(t, f.dump())
	if f.shown()[key] != 1 || f.Requested() != 0 {
		t.Errorf("%d dumps, shown %v", f.Requested(), f.shown())
	}
}

// TestSparseTableIsWalkedOnce covers what ends asking, and what doesn't. Each case runs on a sparse
// table that was dumped once, and then dumps again.
func TestSparseTableIsWalkedOnce(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*fixture)
		dumps  int // walks afterwards, of two polls
		fails  error
	}{
		{"nothing", func(*fixture) {}, 0, nil},
		{"entries begin", func(f *fixture) {
			for i := range 100 {
				f.Create(conntrack.Event{Orig: client(1000 + i)})
			}
		}, 0, nil},
		{"entries end", endAll, 0, nil},
		{"ends are lost", func(f *fixture) { f.LoseDestroy(f.keys[1]) }, 0, nil},
		{"a tuple is used again", func(f *fixture) {
			f.Destroy(f.keys[0])
			f.Create(conntrack.Event{Orig: f.keys[0].Orig})
		}, 0, nil},
		{"a tuple is used again, in the other direction", func(f *fixture) {
			f.Destroy(f.keys[0])
			f.Create(conntrack.Event{Orig: conntracktest.Inverse(f.keys[0].Orig)})
		}, 0, nil},
		{"one begins unannounced", func(f *fixture) {
			f.LoseBegins(true)
			f.Create(conntrack.Event{Orig: client(1000)})
			f.LoseBegins(false)
		}, 1, nil},
		{"one begins unannounced, another ends", func(f *fixture) {
			f.LoseBegins(true)
			f.Create(conntrack.Event{Orig: client(1000)})
			f.LoseBegins(false)
			f.Destroy(f.keys[0])
		}, 1, nil},
		{"announcements are lost", func(f *fixture) { f.OverrunBegins() }, 2, nil},
		{"an answer fails", func(f *fixture) { f.FailQuestion(unix.ENOBUFS) }, 2, nil},
		{"a queue holds a packet", func(f *fixture) { f.Hide(1) }, 1, nil},
		{"the table becomes small", func(f *fixture) { f.SetBuckets(1024) }, 2, nil},
		{"the table fills", func(f *fixture) {
			for i := range 5000 {
				f.Create(conntrack.Event{Orig: client(1000 + i)})
			}
		}, 2, nil},
		{"the table is resized during a dump", func(f *fixture) {
			f.on = func(*conntrack.Event) { f.SetBuckets(2 * sparseBuckets) }
		}, 1, conntrack.ErrPartial},
		{"the event socket breaks", func(f *fixture) { f.FailEvents(unix.EBADF) }, 1, unix.EBADF},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newSparse(t, 100)
			before := f.Requested()
			c.change(f)
			if err := f.dump(); !errors.Is(err, c.fails) {
				t.Fatalf("error %v, want %v", err, c.fails)
			}
			if n := len(f.shown()); c.fails == nil && n != f.Len() {
				t.Errorf("%d entries of %d", n, f.Len())
			}
			f.seen = nil
			must(t, f.dump())
			if n := len(f.shown()); n != f.Len() || c.dumps == 0 && len(f.seen) != n {
				t.Errorf("then %d entries of %d, %d events", n, f.Len(), len(f.seen))
			}
			if n := f.Requested() - before; n != c.dumps {
				t.Errorf("%d walks, want %d", n, c.dumps)
			}
		})
	}
}

// TestHiddenEntriesAreDoubtedLessAndLess proves that entries which are counted and in no walk don't
// cause a walk at each poll, and that one more does at once.
func TestHiddenEntriesAreDoubtedLessAndLess(t *testing.T) {
	f := newSparse(t, 10)
	f.Hide(3)
	before := f.Requested()
	for range 100 {
		must(t, f.dump())
	}
	if n := f.Requested() - before; n < 2 || n > 8 {
		t.Errorf("%d walks of 100 dumps", n)
	}
	before = f.Requested()
	f.LoseBegins(true)
	key := f.Create(conntrack.Event{Orig: client(1000)})
	f.seen = nil
	must(t, f.dump())
	if f.shown()[key] == 0 || f.Requested() != before+1 {
		t.Errorf("%d walks, shown %v", f.Requested()-before, f.shown()[key] > 0)
	}
}

// TestUnannouncedEntriesAreFound proves that each dump finds an entry that was not announced.
func TestUnannouncedEntriesAreFound(t *testing.T) {
	f := newSparse(t, 10)
	f.LoseBegins(true)
	for i := range 20 {
		key := f.Create(conntrack.Event{Orig: client(1000 + i)})
		f.seen = nil
		must(t, f.dump())
		if len(f.seen) != f.Len() || f.shown()[key] != 1 {
			t.Fatalf("poll %d: %d events for %d entries", i, len(f.seen), f.Len())
		}
	}
}

// TestEntryThatBeginsDuringAWalkIsNotHidden proves that it doesn't explain why another one, which
// was not announced, is counted.
func TestEntryThatBeginsDuringAWalkIsNotHidden(t *testing.T) {
	f := newFixture(10)
	f.SetBuckets(sparseBuckets)
	f.on = func(*conntrack.Event) {
		f.on = nil
		f.Create(conntrack.Event{Orig: client(1000)}) // the chunk is made already
	}
	must(t, f.dump())
	f.LoseBegins(true)
	key := f.Create(conntrack.Event{Orig: client(9000)})
	f.seen = nil
	must(t, f.dump())
	if f.shown()[key] == 0 || len(f.shown()) != f.Len() {
		t.Errorf("%d entries of %d", len(f.shown()), f.Len())
	}
}

// TestEachDumpShowsWhatLives proves for random sequences that a dump of a sparse table shows each
// entry that lives all the time, and none that doesn't.
func TestEachDumpShowsWhatLives(t *testing.T) {
	const sequences, dumps = 60, 60
	walks := 0
	for seed := range uint64(sequences) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := &sequence{fixture: newFixture(0), t: t,
				random: rand.New(rand.NewPCG(seed, 1)), lossy: seed%3 == 0, busy: seed%2 == 0}
			s.SetBuckets(sparseBuckets)
			for range dumps {
				for range s.random.IntN(40) {
					s.step()
				}
				s.check()
			}
			s.busy = false
			s.check()
			walks += s.Requested()
		})
	}
	if share := float64(walks) / (sequences * dumps); share < 0.05 || share > 0.6 {
		t.Errorf("%.2f of the dumps were walks: the test should have both kinds", share)
	}
}

// sequence is a random one.
type sequence struct {
	*fixture
	t      *testing.T
	random *rand.Rand
	lossy  bool // announcements are lost
	busy   bool // entries begin and end during dumps
	living []conntrack.Key
	next   int
}

func (s *sequence) step() {
	switch n := s.random.IntN(20); {
	case n < 10 || len(s.living) == 0:
		s.LoseBegins(s.lossy && s.random.IntN(8) == 0)
		e := conntrack.Event{Orig: client(s.next), Zone: uint16(s.next % 3)}
		e.ReplyZone = e.Zone
		s.next++
		s.living = append(s.living, s.Create(e))
	case n < 17:
		i := s.random.IntN(len(s.living))
		if n < 15 {
			s.Destroy(s.living[i])
		} else {
			s.LoseDestroy(s.living[i])
		}
		s.living[i] = s.living[len(s.living)-1]
		s.living = s.living[:len(s.living)-1]
	case n < 18:
		s.Count(s.living[s.random.IntN(len(s.living))], conntrack.Reply, 1, 100)
	case s.random.IntN(60) == 0:
		s.OverrunBegins()
	case s.random.IntN(60) == 0:
		s.FailQuestion(unix.ENOBUFS)
	case s.random.IntN(60) == 0:
		s.SetBuckets(sparseBuckets << s.random.IntN(2))
	}
}

func (s *sequence) check() {
	s.t.Helper()
	before := map[conntrack.Key]bool{}
	for _, key := range s.living {
		before[key] = true
	}
	s.seen, s.on = nil, func(*conntrack.Event) {
		if s.busy && s.random.IntN(10) == 0 {
			s.step()
		}
	}
	err := s.dump()
	s.on = nil
	if err != nil && !errors.Is(err, conntrack.ErrPartial) {
		s.t.Fatal(err)
	}
	shown := s.shown()
	for _, key := range s.living {
		if !before[key] || shown[key] > 0 || err != nil {
			continue
		}
		// What nothing announces may be missed while others end, but not for long.
		if !s.lossy || !s.busy {
			s.t.Fatalf("%+v is missing from %d", key, len(shown))
		}
	}
	for key := range shown {
		if int(key.Zone) >= 3 {
			s.t.Fatalf("%+v never lived", key)
		}
	}
}

// onCount calls fn, once set, when the kernel is asked how many entries it holds.
type onCount struct {
	ctnetlink.Socket
	fn func()
}

func (s *onCount) Send(b []byte) error {
	if fn := s.fn; fn != nil {
		s.fn = nil
		fn()
	}
	return s.Socket.Send(b)
}

// TestAnnouncementsLostAtTheEndOfAWalkHideNothing proves that no later dump takes all entries for
// hidden ones if the last announcements of a walk are lost.
func TestAnnouncementsLostAtTheEndOfAWalkHideNothing(t *testing.T) {
	f := newFixture(100)
	f.SetBuckets(sparseBuckets)
	dial, counts := f.reader.Dial, &onCount{}
	f.reader.Dial = func(p ctnetlink.Purpose) (s ctnetlink.Socket, err error) {
		if s, err = dial(p); err == nil && p == ctnetlink.Questions {
			counts.Socket, s = s, counts
		}
		return s, err
	}
	f.on = func(*conntrack.Event) { // during the walk
		f.on, counts.fn = nil, f.OverrunBegins // what endWalk counts
	}
	must(t, f.dump())
	for poll := range 20 {
		f.seen = nil
		must(t, f.dump())
		if n := len(f.shown()); n != f.Len() {
			t.Errorf("poll %d: %d entries of %d", poll, n, f.Len())
		}
	}
}

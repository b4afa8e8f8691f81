package services

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

var errBroken = errors.New("broken")

// fakeManager and fakeLog are systemd, with what a test has put into them.
type fakeManager struct {
	readings []Reading
	err      error
}

func (m *fakeManager) Units(context.Context, func(string) bool) ([]Reading, error) {
	return m.readings, m.err
}

func (m *fakeManager) has(readings ...*Reading) {
	m.readings = nil
	for _, r := range readings {
		m.readings = append(m.readings, *r)
	}
}

// fakeLog has an entry at each cursor from 1 on. Those up to deleted are gone, and so is the
// place of a cursor among them.
type fakeLog struct {
	entries []End
	deleted int
	readErr error // after one entry
	lastErr error
}

func (l *fakeLog) ends(unit, id string, n uint64, at time.Time) {
	l.entries = append(l.entries, End{
		Reading: *reading(unit, id, n), HasCounters: true, At: at,
		Cursor: strconv.Itoa(len(l.entries) + 1),
	})
}

func (l *fakeLog) Read(_ context.Context, cursor string, fn func(*End)) error {
	from, err := strconv.Atoi(cursor)
	if err != nil || from < l.deleted {
		return errors.New("failed to seek to cursor")
	}
	for i := range l.entries[from:] {
		if l.readErr != nil && i == 1 {
			return l.readErr
		}
		e := l.entries[from+i]
		fn(&e)
	}
	return l.readErr
}

func (l *fakeLog) Last(context.Context) (string, error) {
	return strconv.Itoa(len(l.entries)), l.lastErr
}

// database is what was written last.
type database struct {
	moved  map[string]usage.Counters // by unit
	states []usage.ServiceState
	cursor string
}

func (d *database) write(b *usage.Batch) {
	for key, moved := range b.Services {
		sum := d.moved[key.Unit]
		sum.Add(moved)
		d.moved[key.Unit] = sum
	}
	d.states, d.cursor = b.ServiceStates, b.JournalCursor
}

// rig is a Poller between a fake systemd and a fake database.
type rig struct {
	t       *testing.T
	manager fakeManager
	log     fakeLog
	data    database
	*Poller
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, data: database{moved: map[string]usage.Counters{}}}
	r.start()
	return r
}

// start starts another Poller from what was written, as a restart does.
func (r *rig) start() {
	r.Poller = New(&r.manager, &r.log, utc, r.data.states, r.data.cursor)
}

func (r *rig) poll() {
	r.t.Helper()
	if err := r.Poll(r.t.Context(), noon); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) flush() {
	var b usage.Batch
	r.Take(&b)
	r.data.write(&b)
}

func (r *rig) holds(unit string, want uint64) {
	r.t.Helper()
	if got := r.data.moved[unit]; got != counters(want) {
		r.t.Errorf("%s has %+v, want %+v", unit, got, counters(want))
	}
}

// What was moved before the first start ever is not counted, also of a unit that ends then.
func TestFirstStartBeginsAtZero(t *testing.T) {
	r := newRig(t)
	r.log.ends("old.service", "1", 500, noon)
	r.manager.has(reading("a.service", "1", 1000), reading("b.service", "1", 1000))
	r.manager.err = errBroken
	if err := r.Poll(t.Context(), noon); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	r.manager.err = nil
	r.poll()
	r.manager.has(reading("a.service", "1", 1100))
	r.log.ends("b.service", "1", 1010, noon)
	r.poll()
	r.flush()
	r.holds("old.service", 0)
	r.holds("a.service", 100)
	r.holds("b.service", 10)
}

// Units that ended and began while conntally-history didn't run are counted in full.
func TestNothingIsMissedWhileStopped(t *testing.T) {
	r := newRig(t)
	r.poll()
	r.manager.has(reading("a.service", "1", 100))
	r.poll()
	r.flush()
	r.log.ends("a.service", "1", 150, noon)
	r.log.ends("a.service", "2", 30, noon)
	r.log.ends("short.service", "1", 7, noon)
	r.manager.has(reading("a.service", "3", 4))
	r.start()
	r.poll()
	r.flush()
	r.holds("a.service", 184)
	r.holds("short.service", 7)
}

func TestNothingIsCountedTwiceAfterACrash(t *testing.T) {
	r := newRig(t)
	r.poll()
	r.manager.has(reading("a.service", "1", 100))
	r.poll()
	r.flush()
	for range 3 { // and lost each time
		r.log.ends("a.service", "1", 150, noon)
		r.manager.has(reading("a.service", "2", 60))
		r.poll()
		r.start()
		r.log.entries = r.log.entries[:0]
	}
	r.log.ends("a.service", "1", 150, noon)
	r.poll()
	r.flush()
	r.holds("a.service", 210)
}

// Without a journal, what is known of units says that this is not the first start.
func TestSecondStartWithoutAJournal(t *testing.T) {
	r := newRig(t)
	r.log.lastErr = errBroken
	for _, moved := range []uint64{1000, 1100} {
		r.manager.has(reading("a.service", "1", moved))
		if err := r.Poll(t.Context(), noon); !errors.Is(err, errBroken) {
			t.Fatalf("error %v", err)
		}
		r.flush()
		r.start()
	}
	r.holds("a.service", 100)
}

func TestFailedWriteLosesNothing(t *testing.T) {
	r := newRig(t)
	r.poll()
	r.manager.has(reading("a.service", "1", 100))
	r.poll()
	var b usage.Batch
	r.Take(&b)
	r.manager.has(reading("a.service", "1", 130))
	r.poll()
	r.PutBack(&b)
	r.flush()
	r.holds("a.service", 130)
}

// The time of an end is the journal's, but never the future's.
func TestEndsAreCountedToTheirOwnHour(t *testing.T) {
	r := newRig(t)
	r.poll()
	r.log.ends("a.service", "1", 100, noon.Add(-3*time.Hour))
	r.log.ends("b.service", "1", 100, noon.Add(3*time.Hour))
	r.log.ends("c.service", "1", 100, time.Time{})
	r.poll()
	var b usage.Batch
	r.Take(&b)
	got := map[string]int64{}
	for key := range b.Services {
		got[key.Unit] = (int64(key.Hour) - noon.Unix()) / 3600
	}
	for unit, want := range map[string]int64{"a.service": -3, "b.service": 0, "c.service": 0} {
		if hour, is := got[unit]; !is || hour != want {
			t.Errorf("%s is in hour %d, want %d", unit, hour, want)
		}
	}
}

func TestUnitsWithoutCountersOnlyMoveTheCursor(t *testing.T) {
	r := newRig(t)
	r.poll()
	r.log.ends("a.service", "1", 100, noon)
	r.log.entries[0].HasCounters = false
	r.poll()
	r.flush()
	r.holds("a.service", 0)
	if r.data.cursor != "1" {
		t.Errorf("cursor %q", r.data.cursor)
	}
}

// One half that fails doesn't keep the other from being counted, and is made up for later.
func TestFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		fail func(*rig)
		want uint64 // at once
	}{
		"no D-Bus":           {func(r *rig) { r.manager.readings, r.manager.err = nil, errBroken }, 3 + 5},
		"D-Bus breaks off":   {func(r *rig) { r.manager.err = errBroken }, 100 + 3 + 5},
		"no journal":         {func(r *rig) { r.log.readErr, r.log.lastErr = errBroken, errBroken; r.log.deleted = 9 }, 100},
		"journal breaks off": {func(r *rig) { r.log.readErr = errBroken }, 100 + 3},
		"neither": {func(r *rig) {
			r.manager.readings = nil
			r.manager.err = errBroken
			r.log.deleted = 9
			r.log.lastErr = errBroken
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.poll()
			r.manager.has(reading("a.service", "1", 100))
			r.log.ends("a.service", "0", 3, noon)
			r.log.ends("a.service", "x", 5, noon)
			tc.fail(r)
			if err := r.Poll(t.Context(), noon); err == nil {
				t.Error("no error")
			}
			r.flush()
			r.holds("a.service", tc.want)
			r.manager.err, r.log.readErr, r.log.lastErr, r.log.deleted = nil, nil, nil, 0
			r.manager.has(reading("a.service", "1", 100))
			r.poll()
			r.flush()
			r.holds("a.service", 108)
		})
	}
}

// A journal whose files were deleted is read from its end on, which is said once.
func TestLostPlaceInTheJournal(t *testing.T) {
	r := newRig(t)
	r.poll()
	r.log.ends("a.service", "1", 100, noon)
	r.log.ends("a.service", "2", 100, noon)
	r.log.deleted = 1
	err := r.Poll(t.Context(), noon)
	if err == nil || !strings.Contains(err.Error(), "no longer has the place") {
		t.Fatalf("error %v", err)
	}
	r.log.ends("a.service", "3", 30, noon)
	r.poll()
	r.flush()
	r.holds("a.service", 30)
}

// Invocations are not forgotten as long as they may still be counted.
func TestNothingIsForgottenWhileTheJournalIsUnreadable(t *testing.T) {
	r := newRig(t)
	r.poll()
	r.manager.has(reading("a.service", "1", 100))
	r.poll()
	r.manager.has()
	r.log.deleted, r.log.lastErr = 9, errBroken
	for range 3 * forgetAfter {
		if err := r.Poll(t.Context(), noon); err == nil {
			t.Fatal("no error")
		}
	}
	r.log.deleted, r.log.lastErr = 0, nil
	r.log.ends("a.service", "1", 110, noon)
	r.poll()
	r.flush()
	r.holds("a.service", 110)
}

func TestMoreUnitsThanThereIsRoomForIsAnError(t *testing.T) {
	r := newRig(t)
	r.poll()
	for i := range maxStates + 1 {
		r.manager.readings = append(r.manager.readings, *reading("u.service", strconv.Itoa(i), 1))
	}
	if err := r.Poll(t.Context(), noon); err == nil || !strings.Contains(err.Error(), "1 of them") {
		t.Errorf("error %v", err)
	}
}

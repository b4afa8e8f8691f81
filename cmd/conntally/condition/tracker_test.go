package condition

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/conntally/conntally/conntrack"
)

// fixture is a tracker with a log that the test reads, and a clock that it sets.
type fixture struct {
	*Tracker
	t    *testing.T
	logs *observer.ObservedLogs
	now  conntrack.Timestamp
}

func newFixture(t *testing.T) *fixture {
	core, logs := observer.New(zapcore.InfoLevel)
	return &fixture{
		Tracker: NewTracker(zap.New(core)), t: t, logs: logs,
		now: conntrack.Timestamp{Mono: 5, Wall: 1_700_000_000 * int64(time.Second)},
	}
}

func (f *fixture) pass(d time.Duration) {
	f.now.Mono += int64(d)
	f.now.Wall += int64(d)
	f.Tick(f.now)
}

// says compares the lines since the last call: their level, message and fields.
func (f *fixture) says(want ...string) {
	f.t.Helper()
	var got []string
	for _, e := range f.logs.TakeAll() {
		line := e.Level.String() + " " + e.Message
		for _, field := range e.Context {
			line += fmt.Sprintf(" %s=%s", field.Key, field.String)
		}
		got = append(got, line)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		f.t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (f *fixture) raise(id ID, detail string) { f.Raise(f.now, Condition{ID: id, Detail: detail}) }

// TestLastingConditionIsLoggedOnceAMinute raises a condition each second.
func TestLastingConditionIsLoggedOnceAMinute(t *testing.T) {
	f := newFixture(t)
	const line = "nf_conntrack_acct is 0: no packets or bytes are counted condition=acct_off"
	const fix = " fix=sysctl -w net.netfilter.nf_conntrack_acct=1"
	f.raise(AcctOff, "")
	f.says("warn " + line + fix)
	for range 3 {
		for range 59 {
			f.pass(time.Second)
			f.raise(AcctOff, "")
		}
		f.says()
		f.pass(time.Second)
		f.says("warn " + line + fix)
	}
	f.Clear(AcctOff, "")
	f.says("info resolved: " + line)
	f.Clear(AcctOff, "")
	f.pass(time.Hour)
	f.says()
}

// TestConditionThatComesAndGoes: the log has no more of it than of one that lasts.
func TestConditionThatComesAndGoes(t *testing.T) {
	f := newFixture(t)
	for range 600 {
		f.raise(AcctOff, "")
		f.pass(time.Second / 2)
		f.Clear(AcctOff, "")
		f.pass(time.Second / 2)
	}
	warnings, ends := 0, 0
	for _, e := range f.logs.TakeAll() {
		if e.Level == zapcore.WarnLevel {
			warnings++
		} else {
			ends++
		}
	}
	if warnings != 10 || ends != 10 {
		t.Errorf("in ten minutes %d warnings and %d ends", warnings, ends)
	}
}

func TestEventEndsByItself(t *testing.T) {
	f := newFixture(t)
	f.raise(EventsLost, "7 ends")
	f.says("warn DESTROY events were lost: the receive buffer was full condition=events_lost" +
		" detail=7 ends advice=increase receive_buffer, or set reliable = true")
	f.pass(EventLasts - 1)
	if len(f.Snapshot()) != 1 {
		t.Error("ended early")
	}
	f.logs.TakeAll()
	f.pass(1)
	f.says("info resolved: DESTROY events were lost: the receive buffer was full " +
		"condition=events_lost")
	if len(f.Snapshot()) != 0 {
		t.Error("lasts")
	}
}

func TestOnce(t *testing.T) {
	f := newFixture(t)
	f.raise(EventsAuto, "")
	f.pass(24 * time.Hour)
	if n := f.logs.Len(); n != 1 {
		t.Errorf("%d lines in a day", n)
	}
	if len(f.Snapshot()) != 1 {
		t.Error("doesn't last")
	}
}

// TestSubjects: one condition may hold of several at a time.
func TestSubjects(t *testing.T) {
	f := newFixture(t)
	for _, subject := range []string{"b", "a", "c"} {
		f.Raise(f.now, Condition{ID: AcctOff, Subject: subject})
	}
	f.raise(TimestampOff, "")
	f.Observe(f.now, []Condition{{ID: AcctOff, Subject: "a"}, {ID: AcctOff, Subject: "b"}}, AcctOff)
	f.Clear(AcctOff, "nobody")
	var got []string
	for _, c := range f.Snapshot() {
		got = append(got, string(c.ID)+":"+c.Subject)
	}
	if s := strings.Join(got, " "); s != "acct_off:a acct_off:b timestamp_off:" {
		t.Error(s)
	}
	if got := fmt.Sprint(Err(f.Snapshot())); got != "a: nf_conntrack_acct is 0: no packets or "+
		"bytes are counted\n"+
		"b: nf_conntrack_acct is 0: no packets or bytes are counted" {
		t.Error(got)
	}
	f.Observe(f.now, nil, AcctOff)
	if err := Err(f.Snapshot()); err != nil { // what is left is a warning
		t.Error(err)
	}
}

// TestSnapshotSaysSince: the first time, however often it is raised.
func TestSnapshotSaysSince(t *testing.T) {
	f := newFixture(t)
	for range 5 {
		f.raise(AcctOff, "")
		f.pass(time.Minute)
	}
	if since := f.Snapshot()[0].Since.Unix(); since != 1_700_000_000 {
		t.Error(since)
	}
}

// TestTrackerIsForAnyGoroutine is for the race detector.
func TestTrackerIsForAnyGoroutine(t *testing.T) {
	f := newFixture(t)
	var all sync.WaitGroup
	for _, do := range []func(){
		func() { f.raise(AcctOff, "") }, func() { f.Clear(AcctOff, "") }, func() { f.Tick(f.now) },
		func() { f.Observe(f.now, nil, AcctOff) }, func() { _ = Err(f.Snapshot()) },
	} {
		all.Go(func() {
			for range 100 {
				do()
			}
		})
	}
	all.Wait()
}

// TestDefinitions: each has all that users read, in its own words.
func TestDefinitions(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range Definitions() {
		for _, s := range []string{string(d.ID), d.Message, d.Meaning, d.Alert} {
			if s == "" || seen[s] {
				t.Errorf("%s: %q is empty, or of two conditions", d.ID, s)
			}
			seen[s] = true
		}
		if d.Severity != Warning && d.Severity != Failing {
			t.Errorf("%s: severity %q", d.ID, d.Severity)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a condition without definition was raised")
		}
	}()
	newFixture(t).raise("of_nobody", "")
}

package services

import (
	"fmt"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

var (
	utc  = usage.Calendar{Location: time.UTC}
	noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
)

func counters(n uint64) usage.Counters {
	return usage.Counters{UpBytes: n, DownBytes: 2 * n, UpPackets: n / 10, DownPackets: n / 5}
}

func reading(unit, id string, n uint64) *Reading {
	return &Reading{Unit: unit, Invocation: id, Moved: counters(n)}
}

// sum returns what a tally has counted of a name.
func (t *tally) sum(name string) (total usage.Counters) {
	for key, moved := range t.moved {
		if key.Unit == name {
			total.Add(moved)
		}
	}
	return total
}

func TestEachByteIsCountedOnce(t *testing.T) {
	live := func(id string, n uint64) func(*tally) {
		return func(y *tally) { y.count(reading("a.service", id, n), noon) }
	}
	end := func(id string, n uint64) func(*tally) {
		return func(y *tally) { y.end(reading("a.service", id, n), noon) }
	}
	for name, tc := range map[string]struct {
		steps []func(*tally)
		want  uint64
	}{
		"grows":                     {[]func(*tally){live("1", 100), live("1", 250)}, 250},
		"stands":                    {[]func(*tally){live("1", 100), live("1", 100)}, 100},
		"restarted":                 {[]func(*tally){live("1", 100), live("2", 70)}, 170},
		"restarted to more":         {[]func(*tally){live("1", 100), live("2", 300)}, 400},
		"ends":                      {[]func(*tally){live("1", 100), end("1", 150)}, 150},
		"only ends":                 {[]func(*tally){end("1", 150)}, 150},
		"end after the next began":  {[]func(*tally){live("1", 100), live("2", 70), end("1", 150)}, 220},
		"counters stay after end":   {[]func(*tally){end("1", 150), live("1", 150)}, 150},
		"counters go after end":     {[]func(*tally){end("1", 150), live("1", 0), live("1", 150)}, 150},
		"end is read twice":         {[]func(*tally){end("1", 150), end("1", 150)}, 150},
		"daemon-reload":             {[]func(*tally){live("1", 100), live("1", 30), live("1", 40)}, 140},
		"daemon-reload before end":  {[]func(*tally){live("1", 100), end("1", 30)}, 130},
		"nothing was ever moved":    {[]func(*tally){live("1", 0), end("1", 0)}, 0},
		"baseline":                  {[]func(*tally){func(y *tally) { y.baseline(reading("a.service", "1", 90)) }, live("1", 100)}, 10},
		"baseline of one that ends": {[]func(*tally){func(y *tally) { y.baseline(reading("a.service", "1", 90)) }, end("1", 95)}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			y := newTally(utc, nil, "")
			for _, step := range tc.steps {
				step(y)
			}
			if got := y.sum("a.service"); got != counters(tc.want) {
				t.Errorf("counted %+v, want %+v", got, counters(tc.want))
			}
		})
	}
}

// One counter that decreases says that all have begun again.
func TestResetIsOfAllCounters(t *testing.T) {
	was := usage.Counters{UpBytes: 100, DownBytes: 100, UpPackets: 1, DownPackets: 1}
	is := usage.Counters{UpBytes: 40, DownBytes: 300, UpPackets: 1, DownPackets: 3}
	if got := since(was, is); got != is {
		t.Errorf("%+v", got)
	}
}

func TestHoursAndDays(t *testing.T) {
	y := newTally(utc, nil, "")
	y.count(reading("a.service", "1", 100), noon.Add(59*time.Minute))
	y.count(reading("a.service", "1", 150), noon.Add(60*time.Minute))
	y.end(reading("a.service", "1", 170), noon.Add(12*time.Hour))
	want := map[string]uint64{"12": 100, "13": 50, "00": 20}
	for key, moved := range y.moved {
		hour := time.Unix(int64(key.Hour), 0).UTC()
		if n := want[hour.Format("15")]; moved != counters(n) || key.Day != utc.Day(hour) {
			t.Errorf("%v, day %v: %+v", hour, key.Day, moved)
		}
	}
	if len(y.moved) != len(want) {
		t.Errorf("%d rows, want %d", len(y.moved), len(want))
	}
}

// Units beyond the limit are counted together, and again by name the next day.
func TestNamesAreBounded(t *testing.T) {
	y := newTally(utc, nil, "")
	const units = maxNames + 100
	var total usage.Counters
	for i := range units {
		y.end(reading(fmt.Sprintf("u%d.service", i), "1", 100), noon)
		total.Add(counters(100))
	}
	if got := y.sum(usage.Other); got != counters(100*100) {
		t.Errorf("other has %+v", got)
	}
	y.end(reading("late.service", "1", 100), noon.Add(24*time.Hour))
	if got := y.sum("late.service"); got != counters(100) {
		t.Errorf("the next day it has %+v", got)
	}
	var sum usage.Counters
	for _, moved := range y.moved {
		sum.Add(moved)
	}
	if total.Add(counters(100)); sum != total {
		t.Errorf("%+v in all, want %+v", sum, total)
	}
}

// What can't be written doesn't grow without end, and nothing of it is lost.
func TestRowsAreBounded(t *testing.T) {
	y := newTally(utc, nil, "")
	const hours = 40
	for hour := range hours {
		for i := range maxNames {
			r := reading(fmt.Sprintf("u%d.service", i), fmt.Sprint(hour), 10)
			y.end(r, noon.Add(time.Duration(hour)*time.Hour))
		}
		for range forgetAfter + 1 {
			y.endRound()
		}
		var b usage.Batch
		y.take(&b)
		y.putBack(&b)
	}
	if len(y.moved) > maxRows+hours {
		t.Errorf("%d rows", len(y.moved))
	}
	var sum usage.Counters
	for _, moved := range y.moved {
		sum.Add(moved)
	}
	if want := counters(10).UpBytes * hours * maxNames; sum.UpBytes != want {
		t.Errorf("%d bytes, want %d", sum.UpBytes, want)
	}
}

// Units for which there is no room are counted when they end.
func TestStatesAreBounded(t *testing.T) {
	y := newTally(utc, nil, "")
	for i := range maxStates {
		if !y.count(reading(fmt.Sprintf("u%d.service", i), "1", 0), noon) {
			t.Fatalf("no room for unit %d", i)
		}
	}
	late := reading("late.service", "1", 70)
	if y.count(late, noon) {
		t.Error("there is room for more")
	}
	y.end(late, noon)
	if len(y.states) != maxStates {
		t.Errorf("%d states", len(y.states))
	}
	y.endRound()
	if y.count(late, noon) || len(y.states) != maxStates {
		t.Error("one that was just seen loses its place")
	}
	for range 2 { // all but the last are seen again
		y.endRound()
		for i := range maxStates - 1 {
			y.count(reading(fmt.Sprintf("u%d.service", i), "1", 0), noon)
		}
	}
	y.endRound()
	if !y.count(reading("later.service", "1", 0), noon) {
		t.Error("the one that is gone keeps its place")
	}
	if _, is := y.states[invocation{fmt.Sprintf("u%d.service", maxStates-1), "1"}]; is {
		t.Error("another one lost its place")
	}
}

func TestGoneInvocationsAreForgotten(t *testing.T) {
	y := newTally(utc, nil, "")
	y.count(reading("a.service", "1", 100), noon)
	for round := range forgetAfter + 1 {
		if len(y.states) != 1 {
			t.Fatalf("forgotten in round %d", round)
		}
		y.endRound()
	}
	if len(y.states) != 0 {
		t.Error("not forgotten")
	}
}

func TestDisplayName(t *testing.T) {
	for unit, want := range map[string]string{
		"nginx.service":                                    "nginx.service",
		"wg-quick@wg0.service":                             "wg-quick@wg0.service",
		"openvpn@12.service":                               "openvpn@12.service",
		"getty@tty1.service":                               "getty@tty1.service",
		"backup@2026-11-29.service":                        "backup@*.service",
		"sshd@0-192.0.2.1:22-192.0.2.9:50000.service":      "sshd@*.service",
		"sshd@17-2001:db8::1:22-2001:db8::9:50000.service": "sshd@*.service",
		"sshd@3-4242-1000.service":                         "sshd@*.service",
		"x@3-a-b.service":                                  "x@3-a-b.service",
		"run-u12.service":                                  "run-*.service",
		"run-p123-i456.service":                            "run-*.service",
		"run-r0123456789abcdef0123456789abcdef.scope":      "run-*.scope",
		"run-parts.service":                                "run-parts.service",
		"run-user-1000.mount":                              "run-user-1000.mount",
		"session-3.scope":                                  "session-*.scope",
		"session-c1.scope":                                 "session-*.scope",
		"session-migration.service":                        "session-migration.service",
		"machine-qemu\\x2d1\\x2drouter.scope":              "machine-qemu\\x2d1\\x2drouter.scope",
		"":                                                 "",
		".":                                                ".",
		"@.service":                                        "@.service",
		"run-.service":                                     "run-.service",
		"run-u.service":                                    "run-u.service",
		"sshd@0-192.0.2.1:22.service":                      "sshd@0-192.0.2.1:22.service",
		"a@0-1:2-3:4@5-1-1.service":                        "a@*.service",
	} {
		if got := displayName(unit); got != want {
			t.Errorf("%q: %q, want %q", unit, got, want)
		}
	}
}

func TestWhatIsCounted(t *testing.T) {
	for unit, want := range map[string]bool{
		"a.service": true, "a.socket": true, "a.mount": true, "a.swap": true, "a.scope": true,
		"a.slice": false, "a.timer": false, "a.target": false, "service": true, "": false, "a.": false,
	} {
		if _, got := interfaceOf(unit); got != want && unit != "service" {
			t.Errorf("%q: %v, want %v", unit, got, want)
		}
	}
}

package services

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// line is an entry of systemd 252, with the fields that are asked for.
const line = `{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1795995694147444",` +
	`"_BOOT_ID":"c84f1c8809f64efe9668482e4ce7217a","__MONOTONIC_TIMESTAMP":"23658817124",` +
	`"UNIT":"a.service","INVOCATION_ID":"e661129313a848a7baad2628760ccc33",` +
	`"IP_METRIC_INGRESS_BYTES":"1280","IP_METRIC_INGRESS_PACKETS":"10",` +
	`"IP_METRIC_EGRESS_BYTES":"640","IP_METRIC_EGRESS_PACKETS":"5"}`

func TestParseEnd(t *testing.T) {
	want := End{
		Reading: Reading{
			Unit: "a.service", Invocation: "e661129313a848a7baad2628760ccc33",
			Moved: usage.Counters{UpBytes: 640, UpPackets: 5, DownBytes: 1280, DownPackets: 10},
		},
		HasCounters: true, Cursor: "s=1;i=2", At: time.UnixMicro(1795995694147444),
	}
	if got, ok := parseEnd([]byte(line)); !ok || got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestEntriesWithoutCounters(t *testing.T) {
	for name, change := range map[string][2]string{
		"no IP accounting":   {`"IP_METRIC_INGRESS_BYTES":"1280",`, ``},
		"no data":            {`"1280"`, `"18446744073709551615"`},
		"not a number":       {`"1280"`, `"-1"`},
		"too large":          {`"1280"`, `"99999999999999999999"`},
		"two values":         {`"1280"`, `["1280","1281"]`},
		"not text":           {`"a.service"`, `[97,98]`},
		"long text":          {`"a.service"`, `null`},
		"a slice":            {`"a.service"`, `"a.slice"`},
		"no invocation":      {`"INVOCATION_ID":"e661129313a848a7baad2628760ccc33",`, ``},
		"a number, not text": {`"1280"`, `1280`},
	} {
		e, ok := parseEnd([]byte(strings.Replace(line, change[0], change[1], 1)))
		if !ok || e.HasCounters || e.Cursor != "s=1;i=2" {
			t.Errorf("%s: %v, %+v", name, ok, e)
		}
	}
}

func TestLinesThatAreNoEntries(t *testing.T) {
	for _, text := range []string{
		"", "{", "[]", "null", "{}", `{"__CURSOR":""}`, `{"__CURSOR":["a"]}`, `{"__CURSOR":null}`,
		"-- No entries --",
	} {
		if e, ok := parseEnd([]byte(text)); ok {
			t.Errorf("%q: %+v", text, e)
		}
	}
}

func FuzzParseEnd(f *testing.F) {
	f.Add([]byte(line))
	f.Add([]byte(`{"__CURSOR":"a","__REALTIME_TIMESTAMP":"18446744073709551615","UNIT":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, ok := parseEnd(text)
		if !ok {
			return
		}
		if e.Cursor == "" || !e.HasCounters && e.Moved != (usage.Counters{}) {
			t.Errorf("%q: %+v", text, e)
		}
		newTally(utc, nil, "").end(&e.Reading, e.At)
	})
}

// journalctl returns a Journal whose journalctl is a script; $work is its directory.
func journalctl(t *testing.T, script string) (j Journal, work string) {
	t.Helper()
	work = t.TempDir()
	j.command = filepath.Join(work, "journalctl")
	script = "#!/bin/sh\nwork='" + work + "'\n" + script
	if err := os.WriteFile(j.command, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return j, work
}

// read returns the cursors of the ends that were read.
func read(j Journal, cursor string) (cursors []string, err error) {
	err = j.Read(context.Background(), cursor, func(e *End) { cursors = append(cursors, e.Cursor) })
	return cursors, err
}

// The entry at the cursor has been counted; if its file is gone, the first one has not.
func TestJournalIsReadFromTheCursorOn(t *testing.T) {
	j, work := journalctl(t, `printf '%s\n' "$@" >"$work/args"
		for c in a b c; do echo "{\"__CURSOR\":\"$c\"}"; done`)
	for cursor, want := range map[string]string{"a": "b c", "gone": "a b c"} {
		got, err := read(j, cursor)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("from %s: %q, %v; want %s", cursor, got, err, want)
		}
		args, err := os.ReadFile(filepath.Join(work, "args"))
		if err != nil {
			t.Fatal(err)
		}
		for _, arg := range []string{"--cursor=" + cursor, "_PID=1", "MESSAGE_ID=" + resources} {
			if !strings.Contains("\n"+string(args), "\n"+arg+"\n") {
				t.Errorf("%s is not among\n%s", arg, args)
			}
		}
	}
}

func TestLastEntry(t *testing.T) {
	j, _ := journalctl(t, `case "$*" in *--lines=1*) echo '{"__CURSOR":"z","MESSAGE":"any"}' ;; esac`)
	if last, err := j.Last(t.Context()); err != nil || last != "z" {
		t.Errorf("%q, %v", last, err)
	}
	empty, _ := journalctl(t, ":")
	if last, err := empty.Last(t.Context()); err != nil || last != "" {
		t.Errorf("%q, %v", last, err)
	}
}

func TestJournalctlFails(t *testing.T) {
	for name, tc := range map[string]struct{ script, want string }{
		"with a reason":    {"echo 'Failed to seek' >&2; exit 1", "exit status 1: Failed to seek"},
		"without one":      {"exit 3", "exit status 3"},
		"as if it had not": {"echo 'insufficient permissions' >&2", "insufficient permissions"},
		"with a long line": {"head -c 100000 /dev/zero | tr '\\0' x", "token too long"},
		"with a long reason": {
			"head -c 1000000 /dev/zero | tr '\\0' x >&2", "xxx",
		},
	} {
		j, _ := journalctl(t, `echo '{"__CURSOR":"b"}'; `+tc.script)
		got, err := read(j, "a")
		if err == nil || !strings.Contains(err.Error(), tc.want) || len(err.Error()) > 2*maxComplaint {
			t.Errorf("%s: error %.300v, want %s", name, err, tc.want)
		}
		if len(got) != 1 {
			t.Errorf("%s: %d entries", name, len(got))
		}
	}
	if _, err := read(Journal{command: "/does/not/exist"}, "a"); err == nil {
		t.Error("no journalctl is no error")
	}
}

// A journalctl that hangs ends with the context, and what it began with it.
func TestJournalctlHangs(t *testing.T) {
	j, _ := journalctl(t, `echo '{"__CURSOR":"b"}'; exec sleep 600`)
	ctx, cancel := context.WithCancel(t.Context())
	err := j.Read(ctx, "a", func(*End) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

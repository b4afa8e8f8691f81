package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/bench/agent"
	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/bench/report"
	"github.com/conntally/conntally/bench/result"
	"github.com/conntally/conntally/bench/scenario"
)

// TestMain lets the test's own program hold others.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == agent.HoldCommand {
		main()
		return
	}
	os.Exit(m.Run())
}

// programs are those that are installed here, conntally among them.
func programs(t *testing.T) (all []agent.Agent) {
	t.Helper()
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	for _, a := range agent.All(labtest.Build(t, "conntally")) {
		if _, err := a.Path(); err != nil {
			t.Log(err)
			continue
		}
		a.Period = 0 // a test needs no whole interval of it
		all = append(all, a)
	}
	return all
}

// short is a point that takes a second.
func short() scenario.Point {
	const part = 300 * time.Millisecond
	return scenario.Point{
		Scenario: result.PerFlow, X: 5, Rate: 5000, Ring: 50, PerFlow: 5, Table: 100, Warm: part,
		Window: part,
	}
}

// TestRun: each program is started, measured, held against the traffic, and gone; and
// without one there are still packets.
func TestRun(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	all := programs(t)
	point := short()
	none := run(t.Context(), &point, nil, 1)
	if none.Error != "" || none.Forwarded.Packets == 0 || none.Router != none.Sent ||
		none.CPU != 0 {
		t.Errorf("%+v", none)
	}
	for i := range all {
		r := run(t.Context(), &point, &all[i], 1)
		if r.Error != "" {
			if !all[i].Optional {
				t.Errorf("%s: %s", r.Program, r.Error)
			}
			continue
		}
		if r.Router != r.Sent || r.Flows < 400 || r.Life <= 0 || r.Peak < 1<<20 ||
			r.Window <= 0 || r.Busy <= 0 {
			t.Errorf("%+v", r)
		}
		// conntally has to be exact, and all the others are at so little traffic.
		if c := r.Collected; c.Sum != r.Router || c.Exact != r.Flows || c.Faulty > 0 {
			t.Errorf("%s: of %d flows, %+v: %+v, missed %v",
				r.Program, r.Flows, r.Router, c, r.Missed)
		}
	}
	nothingLeft(t)
}

// TestResize: the machine gets its hash table back.
func TestResize(t *testing.T) {
	if err := lab.Resizable(); err != nil {
		t.Skip(err)
	}
	buckets := func() int {
		n, err := lab.Buckets()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := buckets()
	undo, err := lab.Resize(before / 2)
	if err != nil {
		t.Fatal(err)
	}
	if now := buckets(); now != before/2 {
		t.Errorf("%d buckets, %d before", now, before)
	}
	point := short()
	point.Buckets = before / 4
	if r := run(t.Context(), &point, nil, 1); r.Error != "" || buckets() != before/2 {
		t.Errorf("after a run %d buckets: %q", buckets(), r.Error)
	}
	if err := undo(); err != nil || buckets() != before {
		t.Errorf("%d buckets in the end, %d before: %v", buckets(), before, err)
	}
}

// TestInterrupt: an interrupted run leaves nothing.
func TestInterrupt(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	all := programs(t)
	point := short()
	point.Warm = time.Minute
	for i := range all {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		r := run(ctx, &point, &all[i], 1)
		cancel()
		if !strings.Contains(r.Error, context.DeadlineExceeded.Error()) {
			t.Errorf("%s: %q", r.Program, r.Error)
		}
	}
	nothingLeft(t)
}

// TestNoSuchProgram: what doesn't begin to work is a failed run, and no more.
func TestNoSuchProgram(t *testing.T) {
	programs(t)
	point := short()
	broken := agent.Agent{
		Name: "broken", Program: "false", Args: func(agent.Setting) []string { return nil },
	}
	if r := run(t.Context(), &point, &broken, 1); !strings.Contains(r.Error, "broken has ended") {
		t.Errorf("%q", r.Error)
	}
	missing := agent.Agent{Name: "missing", Program: "no-such-program", Package: "none"}
	if r := run(t.Context(), &point, &missing, 1); !strings.Contains(r.Error, "package none") {
		t.Errorf("%q", r.Error)
	}
}

// nothingLeft looks for directories and for child processes: with the one that holds a
// program all of the program's are gone.
func nothingLeft(t *testing.T) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "conntally-bench-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	all, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		if b, err := os.ReadFile(file); err == nil &&
			strings.Contains(string(b), fmt.Sprintf("\nPPid:\t%d\n", os.Getpid())) {
			t.Errorf("still running: %s", b)
		}
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{
		"-quick", "-only", "bulk:50000", "-programs", "softflowd", "-repeats", "2",
	})
	if err != nil {
		t.Fatal(err)
	}
	plan := scenario.Full()
	chosen, err := choose(&o.choice, &plan, agent.All("conntally"))
	if err != nil || !o.quick || len(chosen) != 1 || chosen[0].Name != result.Rival ||
		len(plan.Scenarios) != 1 || plan.Repeats != 2 {
		t.Errorf("%v, %+v, %d programs, %+v", err, o, len(chosen), plan)
	}
	for _, bad := range [][]string{{"-only", "x"}, {"-programs", "x"}} {
		o, err := parse(bad)
		if err != nil {
			t.Fatal(err)
		}
		plan := scenario.Full()
		if _, err := choose(&o.choice, &plan, agent.All("conntally")); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
	for _, bad := range [][]string{{"quick"}, {"-fast"}} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

// TestReportAgain: a report can be made of saved results.
func TestReportAgain(t *testing.T) {
	dir := t.TempDir()
	if err := bench(
		t.Context(), []string{"-report", dir}, new(strings.Builder),
	); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
	if err := new(result.Suite).Save(filepath.Join(dir, resultsFile)); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := bench(t.Context(), []string{"-report", dir}, &out); err != nil ||
		!strings.Contains(out.String(), "not measured") {
		t.Errorf("%v: %s", err, out.String())
	}
}

// TestCalmest: a run that others disturb is made again, but not for ever.
func TestCalmest(t *testing.T) {
	const window = time.Second
	for _, test := range []struct {
		stolen []time.Duration // by run; negative: it fails
		want   int
		made   int
		lost   bool
	}{
		{[]time.Duration{10 * time.Millisecond}, 0, 1, false},
		{[]time.Duration{11 * time.Millisecond, 0}, 1, 2, false},
		{[]time.Duration{30 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond}, 1, 3,
			false},
		{[]time.Duration{-1}, 0, 1, false},
		{[]time.Duration{30 * time.Millisecond, -1}, 1, 2, false},
		{[]time.Duration{30 * time.Millisecond}, 0, 1, true}, // disturbance is no excuse
	} {
		made := 0
		got := calmest(func() result.Run {
			r := result.Run{Repeat: made, Window: window, Stolen: test.stolen[made]}
			if r.Stolen < 0 {
				r.Error = "it broke"
			}
			if test.lost {
				r.Program, r.Router.Packets = result.Ours, 1
			}
			made++
			return r
		})
		if got.Repeat != test.want || made != test.made {
			t.Errorf("%v: run %d of %d, want %d of %d",
				test.stolen, got.Repeat, made, test.want, test.made)
		}
	}
}

// TestReportsAreCurrent: each report that is kept is what its figures make today. If
// not: .tools/bench -report DIRECTORY.
func TestReportsAreCurrent(t *testing.T) {
	all, err := filepath.Glob("results/*/" + resultsFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		if filepath.Base(filepath.Dir(file)) == "quick" { // not kept
			continue
		}
		s, err := result.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		fresh := t.TempDir()
		if err := report.Write(s, fresh); err != nil {
			t.Fatal(err)
		}
		made, err := filepath.Glob(filepath.Join(fresh, "*"))
		if err != nil || len(made) == 0 {
			t.Fatalf("%d files: %v", len(made), err)
		}
		for _, path := range made {
			kept := filepath.Join(filepath.Dir(file), filepath.Base(path))
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(kept); err != nil || string(got) != string(want) {
				t.Errorf("%s is not current: %v", kept, err)
			}
		}
	}
}

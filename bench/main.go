// Command bench measures what it costs to watch a router's traffic, and how exact the records are:
// conntally beside softflowd and others. See README.md.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/conntally/conntally/bench/agent"
	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/report"
	"github.com/conntally/conntally/bench/result"
	"github.com/conntally/conntally/bench/scenario"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == agent.HoldCommand {
		if err := agent.Hold(os.Args[2:], os.NewFile(3, "report")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM,
		syscall.SIGHUP)
	defer stop()
	if err := bench(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, args []string, stdout io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.again != "" {
		return rewrite(o.again, stdout)
	}
	return measureAll(ctx, o, stdout)
}

const resultsFile = "results.json"

func rewrite(dir string, stdout io.Writer) error {
	s, err := result.Load(filepath.Join(dir, resultsFile))
	if err != nil {
		return err
	}
	return write(s, dir, stdout)
}

func write(s *result.Suite, dir string, stdout io.Writer) error {
	if err := report.Write(s, dir); err != nil {
		return err
	}
	report.Summary(stdout, s)
	_, err := fmt.Fprintf(stdout, "\nAll of it: %s\n", filepath.Join(dir, report.File))
	return err
}

func measureAll(ctx context.Context, o *options, stdout io.Writer) error {
	if err := lab.Available(); err != nil {
		return err
	}
	plan, programs, err := planned(o)
	if err != nil {
		return err
	}
	s := newSuite(plan, programs, stdout)
	s.result.Emulated = o.emulated
	if err := s.describe(ctx); err != nil {
		return err
	}
	if err := s.run(ctx); err != nil {
		return err
	}
	dir := cmp.Or(o.out, defaultDir(&s.result, o.quick))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(save(&s.result, dir, o.count, stdout), s.failed())
}

// planned says what is to be measured of which programs.
func planned(o *options) (scenario.Plan, []agent.Agent, error) {
	path, err := filepath.Abs(o.conntally)
	if err != nil {
		return scenario.Plan{}, nil, err
	}
	plan, programs := scenario.Full(), agent.All(path)
	switch {
	case o.count:
		plan, programs = scenario.Counting(), agent.Duel(path)
	case o.emulated:
		plan, programs = scenario.Emulated(), agent.Duel(path)
	case o.quick:
		plan, programs = scenario.Quick(), agent.Duel(path)
	}
	programs, err = choose(&o.choice, &plan, programs)
	for i := range programs {
		if o.count && err == nil {
			programs[i], err = programs[i].Counted()
		}
	}
	return plan, programs, err
}

// save writes results and their report; counts of instructions have their own.
func save(s *result.Suite, dir string, count bool, stdout io.Writer) error {
	if !count {
		return errors.Join(s.Save(filepath.Join(dir, resultsFile)), write(s, dir, stdout))
	}
	report.Instructions(stdout, s)
	return errors.Join(s.Save(filepath.Join(dir, "instructions.json")),
		report.WriteInstructions(s, dir))
}

// defaultDir names the directory after the kind of machine; its host name stays private.
func defaultDir(s *result.Suite, quick bool) string {
	if quick {
		return filepath.Join("bench", "results", "quick")
	}
	m := s.Machine
	return filepath.Join("bench", "results",
		fmt.Sprintf("%s-%s-%d-cores", s.Date.Format("2006-01-02"), m.Arch, m.Cores))
}

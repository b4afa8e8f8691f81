package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/conntally/conntally/bench/agent"
	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/measure"
	"github.com/conntally/conntally/bench/result"
	"github.com/conntally/conntally/bench/scenario"
)

// suite is a measurement under way.
type suite struct {
	plan     scenario.Plan
	programs []agent.Agent
	out      io.Writer
	result   result.Suite
}

// newSuite leaves out of the plan what this machine can't do.
func newSuite(plan scenario.Plan, programs []agent.Agent, out io.Writer) *suite {
	s := &suite{plan: plan, programs: programs, out: out}
	s.result = result.Suite{
		Date: time.Now().UTC().Truncate(time.Second), Machine: measure.ReadMachine(),
	}
	s.result.Skipped = s.plan.Fit(s.result.Machine.Max)
	if err := lab.Resizable(); err != nil {
		s.result.Skipped = append(s.result.Skipped, s.plan.KeepBuckets(err)...)
	}
	for _, sc := range s.plan.Scenarios {
		s.result.Scenarios = append(s.result.Scenarios, sc.Scenario)
	}
	return s
}

// describe asks the programs for their versions, and leaves out those that can't work here.
func (s *suite) describe(ctx context.Context) error {
	if err := s.leaveOut(ctx); err != nil {
		return err
	}
	for i := range s.programs {
		p, err := s.programs[i].Describe(ctx)
		if err != nil {
			return err
		}
		s.result.Programs = append(s.result.Programs, p)
	}
	return nil
}

// leaveOut leaves out optional programs that don't begin to work here.
func (s *suite) leaveOut(ctx context.Context) error {
	var left []agent.Agent
	for i := range s.programs {
		p := &s.programs[i]
		if p.Optional {
			if err := try(ctx, p); ctx.Err() != nil {
				return ctx.Err()
			} else if err != nil {
				s.result.Skipped = append(s.result.Skipped, reason(err))
				continue
			}
		}
		left = append(left, *p)
	}
	s.programs = left
	return nil
}

// try starts a program in a router of its own, and ends it.
func try(ctx context.Context, program *agent.Agent) error {
	r, err := newRouter(ctx, program, new(scenario.Point))
	if err != nil {
		return err
	}
	return r.close()
}

// reason is the first line of an error.
func reason(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// run measures all. The programs take turns, point by point, and all of that is
// repeated, so that changes of the machine affect all alike. A run that fails is recorded, and the
// others go on.
func (s *suite) run(ctx context.Context) error {
	done, all := 0, s.runs()
	for repeat := 1; done < all; repeat++ {
		for _, sc := range s.plan.Scenarios {
			if repeat > s.plan.Repeats+sc.More {
				continue
			}
			for i := range sc.Points {
				for _, program := range s.of(&sc) {
					if err := s.one(ctx, &sc.Points[i], program, repeat); err != nil {
						return err
					}
					done++
					s.progress(done, all)
				}
			}
		}
	}
	return nil
}

func (s *suite) one(
	ctx context.Context, p *scenario.Point, program *agent.Agent, repeat int,
) error {
	r := calmest(func() result.Run { return run(ctx, p, program, repeat) })
	if err := ctx.Err(); err != nil {
		return err // the run was cut short
	}
	s.result.Runs = append(s.result.Runs, r)
	return nil
}

// On a virtual machine other guests take CPU time. A run that they disturb by more
// than this, in percent of one core, is made again.
const (
	tolerated = 1
	attempts  = 3
)

// calmest returns the least disturbed of up to so many runs, or one that failed or wasn't
// exact: disturbance doesn't excuse that.
func calmest(run func() result.Run) result.Run {
	r := run()
	for i := 1; i < attempts && !final(&r); i++ {
		if again := run(); final(&again) || again.Stolen < r.Stolen {
			r = again
		}
	}
	return r
}

func final(r *result.Run) bool {
	inexact := result.Inexact(r) && r.Scenario != result.Saturation // where most are
	return r.Error != "" || inexact || result.StolenPercent(r) <= tolerated
}

// of returns a scenario's programs, nil for none.
func (s *suite) of(sc *scenario.Scenario) []*agent.Agent {
	var all []*agent.Agent
	if sc.Programs == nil || slices.Contains(sc.Programs, result.None) {
		all = append(all, nil)
	}
	for i := range s.programs {
		if sc.Programs == nil || slices.Contains(sc.Programs, s.programs[i].Name) {
			all = append(all, &s.programs[i])
		}
	}
	return all
}

func (s *suite) runs() (n int) {
	for i := range s.plan.Scenarios {
		sc := &s.plan.Scenarios[i]
		n += len(sc.Points) * len(s.of(sc)) * (s.plan.Repeats + sc.More)
	}
	return n
}

// progress prints the last run.
func (s *suite) progress(done, all int) {
	r := &s.result.Runs[len(s.result.Runs)-1]
	fmt.Fprintf(s.out, "%3d/%d %-17s %6d %-10s ", done, all, r.Scenario, r.X, r.Program)
	if r.Error != "" {
		fmt.Fprintln(s.out, "FAILED:", r.Error)
		return
	}
	fmt.Fprintf(s.out, "program %7.3f %%, machine %6.2f %% of a core, %7.0f packets/s",
		result.CPUPercent(r), result.BusyPercent(r), result.Rate(r))
	if r.Program != result.None {
		fmt.Fprintf(s.out, ", %.4f %% of packets found", result.PacketsFound(r))
	}
	fmt.Fprintln(s.out)
}

// failed returns an error if a run has failed.
func (s *suite) failed() error {
	n := 0
	for i := range s.result.Runs {
		if s.result.Runs[i].Error != "" {
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%d of %d runs failed: they are in the results with their reasons", n,
			len(s.result.Runs))
	}
	return nil
}

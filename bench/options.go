package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/conntally/conntally/bench/agent"
	"github.com/conntally/conntally/bench/scenario"
)

// choice is of a part of the whole.
type choice struct {
	only, programs string // comma separated; "" = all
	repeats        int    // 0 = as planned
}

// choose leaves out what is not wanted.
func choose(c *choice, plan *scenario.Plan, programs []agent.Agent) ([]agent.Agent, error) {
	if c.repeats > 0 {
		plan.Repeats = c.repeats
		for i := range plan.Scenarios {
			plan.Scenarios[i].More = 0
		}
	}
	if c.only != "" {
		if err := plan.Only(strings.Split(c.only, ",")); err != nil {
			return nil, err
		}
	}
	if c.programs == "" {
		return programs, nil
	}
	var chosen []agent.Agent
	for _, name := range strings.Split(c.programs, ",") {
		i := slices.IndexFunc(programs, func(a agent.Agent) bool { return a.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("-programs: there is no %q", name)
		}
		chosen = append(chosen, programs[i])
	}
	return chosen, nil
}

// options are the command line's.
type options struct {
	conntally, out, again string
	choice
	quick, count, emulated bool
}

func parse(args []string) (*options, error) {
	o := new(options)
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.StringVar(&o.conntally, "conntally", "./conntally", "the `program` to measure")
	fs.StringVar(&o.out, "out", "",
		"the `directory` for the results (default bench/results/DATE-MACHINE, or quick)")
	fs.StringVar(&o.again, "report", "",
		"measure nothing, write the report of the results in this `directory` again")
	fs.BoolVar(&o.quick, "quick", false, "only softflowd and conntally, three minutes, once")
	fs.BoolVar(&o.count, "instructions", false,
		"only count the instructions of softflowd and conntally, by valgrind")
	fs.BoolVar(&o.emulated, "emulated", false,
		"measure instructions per flow: for a guest of qemu -icount shift=0, whose time counts them")
	fs.StringVar(&o.only, "only", "",
		"measure these `scenarios` alone, as in bulk,packets-per-flow:1")
	fs.StringVar(&o.programs, "programs", "", "compare these `programs` alone, beside none")
	fs.IntVar(&o.repeats, "repeats", 0, "`how` often all is measured")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return o, nil
}

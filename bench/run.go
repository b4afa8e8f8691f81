package main

import (
	"context"
	"fmt"
	"time"

	"github.com/conntally/conntally/bench/agent"
	"github.com/conntally/conntally/bench/collect"
	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/measure"
	"github.com/conntally/conntally/bench/result"
	"github.com/conntally/conntally/bench/scenario"
	"github.com/conntally/conntally/bench/traffic"
)

const (
	restTime = 100 * time.Millisecond // from a program's start to the traffic
	tailTime = 100 * time.Millisecond // of traffic after the window
	lastTime = 300 * time.Millisecond // for a program to take what was sent last
	homeSeed = 1
	sizeUp   = 100
	sizeDown = 1200
)

// run measures one program, or none for nil, at one point.
func run(ctx context.Context, p *scenario.Point, program *agent.Agent, repeat int) result.Run {
	r := &runner{
		point: p, result: result.Run{
			Scenario: p.Scenario, X: p.X, Program: result.None, Repeat: repeat, Offered: p.Rate,
		},
	}
	if program != nil {
		r.result.Program, r.period = program.Name, program.Period
	}
	if err := r.run(ctx, program); err != nil {
		r.result.Error = err.Error()
	}
	return r.result
}

// runner is a run under way.
type runner struct {
	*router
	point   *scenario.Point
	period  time.Duration // of the program
	result  result.Run
	ledgers []*traffic.Ledger
	begin   time.Time // of the traffic
	stopped time.Time // when the program was stopped
}

func (r *runner) run(ctx context.Context, program *agent.Agent) (err error) {
	if r.router, err = newRouter(ctx, program, r.point); err != nil {
		return err
	}
	defer func() {
		if e := r.close(); err == nil {
			err = e
		}
	}()
	if err := r.rest(ctx); err != nil {
		return err
	}
	if err := r.traffic(ctx); err != nil {
		return err
	}
	if err := sleep(ctx, r.point.LingerOf(r.period)); err != nil || program == nil {
		return err
	}
	return r.finish(ctx)
}

// rest lets a program settle. A poll of many connections takes seconds, paced as it is: it
// has to be over well before the window's end.
func (r *runner) rest(ctx context.Context) error {
	if r.point.AllCPU && r.period > 0 {
		return sleep(ctx, r.period*2/5)
	}
	return sleep(ctx, restTime)
}

// traffic sends and measures.
func (r *runner) traffic(ctx context.Context) error {
	warm, window := r.point.WarmOf(r.period), r.point.WindowOf(r.period)
	length := warm + window + tailTime
	sources := r.sources(length)
	r.begin = time.Now()
	wait := r.send(ctx, sources, r.ledgers, r.begin, length)
	failed := r.window(ctx, warm, window)
	if err := wait(); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	for _, l := range r.ledgers {
		r.result.Sent.Packets += l.Total.Packets
		r.result.Sent.Bytes += l.Total.Bytes
	}
	forwarded, err := r.forwarded()
	r.result.Router = forwarded
	return err
}

// sources makes the point's traffic, with a ledger for each part of it.
func (r *runner) sources(length time.Duration) []traffic.Source {
	p := r.point
	if p.Home {
		home := traffic.NewHome(homeSeed, length)
		r.ledgers = []*traffic.Ledger{traffic.NewLedger(home.Flows())}
		return []traffic.Source{home}
	}
	parts := 1
	if p.Saturate {
		parts = len(cores())
	}
	var sources []traffic.Source
	for i := range parts {
		ring := p.Ring / parts
		s := &traffic.Steady{
			Rate: p.Rate, Ring: ring, PerFlow: p.PerFlow, Up: sizeUp, Down: sizeDown,
			First: i * ring, Length: length,
		}
		sources = append(sources, s)
		r.ledgers = append(r.ledgers, traffic.NewLedger(s.First+s.Flows()))
	}
	return sources
}

// window measures between two instants of the traffic.
func (r *runner) window(ctx context.Context, warm, length time.Duration) error {
	if err := lab.WaitUntil(ctx, r.begin.Add(warm)); err != nil {
		return err
	}
	before, err := r.look()
	if err != nil {
		return err
	}
	if err := r.watch(ctx, warm+length); err != nil {
		return err
	}
	after, err := r.look()
	if err != nil {
		return err
	}
	r.result.Window = after.system.At.Sub(before.system.At)
	r.result.Busy = after.system.Busy(before.system)
	r.result.Stolen = after.system.Stolen - before.system.Stolen
	r.result.CPU = after.process.CPU - before.process.CPU
	r.result.Peak = after.process.Peak
	r.result.Forwarded = result.Sum{
		Packets: after.forwarded.Packets - before.forwarded.Packets,
		Bytes:   after.forwarded.Bytes - before.forwarded.Bytes,
	}
	return nil
}

// watch waits until so long after the begin of the traffic, and measures stalls meanwhile, if the
// point is about them: on the last core, while the traffic has the first.
func (r *runner) watch(ctx context.Context, until time.Duration) error {
	if !r.point.Stalls {
		return lab.WaitUntil(ctx, r.begin.Add(until))
	}
	all := cores()
	core := all[len(all)-1]
	if r.program != nil {
		if err := r.program.Pin(core); err != nil {
			return err
		}
	}
	stalls, err := measure.StartStalls(core)
	if err != nil {
		return err
	}
	err = lab.WaitUntil(ctx, r.begin.Add(until))
	r.result.Stall = stalls.Stop()
	return err
}

// sight is what is measured at an instant.
type sight struct {
	system    measure.System
	process   measure.Process
	forwarded result.Sum
}

func (r *runner) look() (s sight, err error) {
	if r.program != nil {
		if s.process, err = r.program.Usage(); err != nil {
			return s, err
		}
	}
	if s.forwarded, err = r.forwarded(); err != nil {
		return s, err
	}
	s.system, err = measure.ReadSystem()
	return s, err
}

// finish makes the program export everything and exit, and compares that with the traffic.
func (r *runner) finish(ctx context.Context) error {
	running := r.program
	answer, err := running.Ask(ctx)
	if err != nil {
		return err
	}
	if err := r.drive(ctx, running.Agent); err != nil {
		return err
	}
	r.stopped = time.Now()
	r.program = nil
	if r.result.Life, err = running.Stop(ctx); err != nil {
		return err
	}
	if r.result.Instructions, err = running.Instructions(); err != nil {
		return err
	}
	if count, unit, ok := running.Agent.Missed(answer, running.Log()); ok {
		r.result.Missed = &result.Missed{Count: count, Unit: unit}
	}
	if gone, err := running.Gone(); err != nil {
		return err
	} else if !gone {
		return fmt.Errorf("%s is still there", running.Agent.Name)
	}
	return r.collect()
}

// drive makes a program export what it would hold only because the traffic stops, which on a router
// it never does: see chase. For programs that report connections at their ends, it ends them.
func (r *runner) drive(ctx context.Context, a *agent.Agent) error {
	if !a.Captures && !a.NeedsEnds {
		return nil
	}
	for _, step := range []func() error{
		func() error { return r.end(a) },
		func() error { return r.chase(ctx) },
		func() error { return r.end(a) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return sleep(ctx, lastTime)
}

func (r *runner) end(a *agent.Agent) error {
	if !a.NeedsEnds {
		return nil
	}
	return r.Router.Flush()
}

func (r *runner) collect() error {
	collector := r.collector
	r.collector = nil
	datagrams, err := collector.Close()
	if err != nil {
		return err
	}
	r.result.Collected, r.result.Flows, r.result.Delay = collect.Compare(datagrams,
		merge(r.ledgers), r.begin, r.stopped)
	return nil
}

// merge joins ledgers of flows that differ.
func merge(ledgers []*traffic.Ledger) *traffic.Ledger {
	all := traffic.NewLedger(0)
	for _, l := range ledgers {
		all.Flows = append(all.Flows, l.Flows[len(all.Flows):]...)
	}
	return all
}

func sleep(ctx context.Context, d time.Duration) error {
	return lab.WaitUntil(ctx, time.Now().Add(d))
}

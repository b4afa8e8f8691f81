package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/agent"
	"github.com/conntally/conntally/bench/collect"
	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/result"
	"github.com/conntally/conntally/bench/scenario"
	"github.com/conntally/conntally/bench/traffic"
)

// router is a fresh lab for one run.
type router struct {
	*lab.Lab
	dir       string
	collector *collect.Collector
	program   *agent.Running // nil = none
	undo      func() error   // of the hash table's size, nil = nothing
}

// newRouter builds a router and starts program in it, or none for nil.
func newRouter(ctx context.Context, program *agent.Agent, p *scenario.Point) (*router, error) {
	sysctls := agent.Sysctls()
	if program != nil {
		maps.Copy(sysctls, program.Sysctls)
	}
	if program != nil && !program.Captures && p.Table > 0 {
		maps.Copy(sysctls, agent.Accounting()) // the connections that rest begin before the program
	}
	l, err := lab.New(lab.Options{
		BehindClient: []netip.Prefix{traffic.ClientNetwork()},
		BehindServer: []netip.Prefix{traffic.RemoteNetwork()},
		Deaf:         true, Sysctls: sysctls,
	})
	if err != nil {
		return nil, err
	}
	r := &router{Lab: l}
	if err := r.open(ctx, program, p); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *router) open(ctx context.Context, program *agent.Agent, p *scenario.Point) (err error) {
	if r.dir, err = os.MkdirTemp("", "conntally-bench-"); err != nil {
		return err
	}
	if err := os.Chmod(r.dir, 0o755); err != nil { // for programs that give up root
		return err
	}
	if p.Buckets > 0 {
		if r.undo, err = lab.Resize(p.Buckets); err != nil {
			return err
		}
	}
	if err := r.Router.Fill(0, p.Table); err != nil {
		return err
	}
	if r.collector, err = collect.Open(r.Router); err != nil || program == nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	r.program, err = program.Start(self, r.Router, agent.Setting{
		Dir: r.dir, Collector: collect.Address(), Interface: string(lab.LAN), MaxFlows: mostFlows,
		AllCPU: p.AllCPU,
	})
	if err != nil {
		return err
	}
	return r.program.Await(ctx)
}

// mostFlows is what programs are given room for, more than any point has.
const mostFlows = 300_000

// close takes down what is still up, the program first.
func (r *router) close() error {
	if r.program != nil {
		r.program.Kill()
	}
	if r.collector != nil {
		_, _ = r.collector.Close()
	}
	// Else the kernel ends the connections while the next run is going on.
	err := errors.Join(r.Router.Flush(), r.Close(), os.RemoveAll(r.dir))
	if r.undo != nil {
		err = errors.Join(err, r.undo())
	}
	return err
}

// forwarded is what nftables has counted up to now.
func (r *router) forwarded() (sum result.Sum, err error) {
	counts, err := r.Forwarded()
	for _, proto := range [...]uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		c := counts[lab.Class{Family: unix.AF_INET, Proto: proto}]
		sum.Packets += c.Packets
		sum.Bytes += c.Bytes
	}
	return sum, err
}

// send starts sources, each on a core of its own, and returns a function that waits
// for their end. Nothing is sent later than most.
func (r *router) send(ctx context.Context, sources []traffic.Source, ledgers []*traffic.Ledger,
	begin time.Time, most time.Duration) (wait func() error) {
	g, ctx := errgroup.WithContext(ctx)
	for i, src := range sources {
		g.Go(func() error {
			s, err := traffic.NewSender(r.Lab)
			if err != nil {
				return err
			}
			defer s.Close()
			return s.Run(ctx, src, ledgers[i], begin, most, cores()[i%len(cores())])
		})
	}
	return g.Wait
}

// cores are those that this process may use.
func cores() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(unix.Getpid(), &set); err != nil {
		return []int{0}
	}
	var all []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			all = append(all, i)
		}
	}
	slices.Reverse(all) // the first one has most of the machine's interrupts
	return all
}

// chase sends packets that aren't counted after those that are. libpcap delivers whole blocks of
// its ring, softflowd the last one when the next begins; ulogd2 keeps records until a message is
// full. On a router there is always a next one.
func (r *router) chase(ctx context.Context) error {
	const length = 200 * time.Millisecond
	src := &traffic.Steady{
		Rate: 50_000, Ring: 100, Up: 100, Down: 100, First: chaser, Length: length,
	}
	ledgers := []*traffic.Ledger{traffic.NewLedger(chaser + 100)}
	wait := r.send(ctx, []traffic.Source{src}, ledgers, time.Now(), 2*length)
	if err := wait(); err != nil {
		return fmt.Errorf("chaser: %w", err)
	}
	return nil
}

// chaser is a flow's number beyond all that count.
const chaser = 2 * mostFlows

//go:build amd64 || arm64 || riscv64

package bpf

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// BenchmarkRealEnds is of connections that a program deletes: what each end costs the kernel more
// than where nobody reads it, and what reading it costs. In a guest that counts instructions as
// time (.ci/guest), ns are instructions.
func BenchmarkRealEnds(b *testing.B) {
	l := labtest.New(b, lab.Options{Sysctls: map[string]string{
		"net/netfilter/nf_conntrack_acct": "1", "net/netfilter/nf_conntrack_timestamp": "1",
		"net/netfilter/nf_conntrack_events": "1",
	}})
	nobody := median(b, l, nil, func(r *round) time.Duration { return r.kernel })
	for _, step := range append([]Step{Netlink}, Steps()...) {
		b.Run(cmp.Or(string(step), "netlink"), func(b *testing.B) {
			s := openEnds(b, l, step)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(b, l, s, func(r *round) time.Duration { return r.kernel })-nobody,
				"kernel-ns/end")
			b.ReportMetric(median(b, l, s, func(r *round) time.Duration { return r.read }),
				"read-ns/end")
			if step != Netlink {
				end, first := programTimes(b, l, s)
				b.ReportMetric(end, "program-ns/end")
				b.ReportMetric(first, "program-ns/first")
			}
		})
	}
}

// benchEnds is how many connections end at once.
const benchEnds = 10_000

// round is what one deletion of all connections took.
type round struct{ kernel, read time.Duration }

// median returns the median of several rounds in ns per end. Nobody reads where s is nil.
func median(b *testing.B, l *lab.Lab, s *Source, of func(*round) time.Duration) float64 {
	var spread []float64
	for range 5 {
		r := endAll(b, l, s)
		spread = append(spread, float64(of(&r))/benchEnds)
	}
	slices.Sort(spread)
	return spread[len(spread)/2]
}

// endAll makes connections and deletes them.
func endAll(b *testing.B, l *lab.Lab, s *Source) (r round) {
	if err := l.Router.Fill(0, benchEnds); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if err := l.Router.Flush(); err != nil {
		b.Fatal(err)
	}
	r.kernel = time.Since(began)
	began = time.Now()
	for n := 0; s != nil && n < benchEnds; {
		before := n
		if err := s.Wait(0, func(*conntrack.Event) { n++ }); err != nil {
			b.Fatal(err)
		}
		if n == before {
			b.Fatalf("%d ends of %d", n, benchEnds)
		}
	}
	r.read = time.Since(began)
	return r
}

// openEnds returns a source that has read all ends until now, or skips the benchmark.
func openEnds(b *testing.B, l *lab.Lab, step Step) *Source {
	r, err := ctnetlink.Open(ctnetlink.Options{NetNS: l.Router.FD(), ReceiveBuffer: 64 << 20},
		conntrack.SystemClock())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { r.Close() })
	s := NewSource(r, SourceOptions{
		BPF: step != Netlink, Ring: 2 * benchEnds * eventBytes, Steps: []Step{step},
	}, conntrack.SystemClock())
	b.Cleanup(s.closeEnds)
	nothing := func(*conntrack.Event) {}
	if err := l.Router.Do(func() error { return s.Attach(nothing) }); err != nil {
		b.Skip(err)
	}
	if err := s.Wait(0, nothing); err != nil { // the ends of test connections
		b.Fatal(err)
	}
	return s
}

// programTimes returns what the programs alone take of an end, and of the first packet of a
// connection, by the kernel's count.
func programTimes(b *testing.B, l *lab.Lab, s *Source) (end, first float64) {
	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		b.Fatal(err)
	}
	defer stats.Close()
	if err := l.Flood(b.Context(), lab.FloodFlow{Flows: 1000, Size: 100}); err != nil {
		b.Fatal(err)
	}
	endAll(b, l, s)
	if err := s.Wait(0, func(*conntrack.Event) {}); err != nil {
		b.Fatal(err)
	}
	of := func(prefix string) float64 {
		stats, err := attached(b, prefix).Stats()
		if err != nil {
			b.Fatal(err)
		}
		return float64(stats.Runtime) / float64(stats.RunCount)
	}
	return of("end_"), of("first_")
}

// attached returns the program whose name begins so.
func attached(b *testing.B, prefix string) *ebpf.Program {
	for id := ebpf.ProgramID(0); ; {
		var err error
		if id, err = ebpf.ProgramGetNextID(id); err != nil {
			b.Fatal(prefix, err)
		}
		p, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue // unloaded meanwhile
		}
		b.Cleanup(func() { p.Close() })
		if info, err := p.Info(); err == nil && strings.HasPrefix(info.Name, prefix) {
			return p
		}
	}
}

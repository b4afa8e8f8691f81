package probe

import (
	"time"

	"github.com/conntally/conntally/cmd/conntally/monitor"
	"github.com/conntally/conntally/conntrack"
)

const (
	// While a dump goes on, it works a fifth of the time.
	paceWork = int64(5 * time.Millisecond)
	paceRest = 4
	// But never for longer: events gather meanwhile, and time in which the process
	// stood still (SIGSTOP, a machine without a free core) was no work.
	maxRest = 20 * time.Millisecond

	// Events gather for this long, or for less where the buffer is small.
	maxBreath     = 100 * time.Millisecond
	eventCharge   = 1280    // bytes of the buffer per event
	breathRate    = 100_000 // events per second that must not fill
	breathPortion = 2       // half of it
)

// pacer decides when to dump and how fast, so that dumping stays below a share of
// one core. It belongs to the probe's goroutine.
type pacer struct {
	poll   time.Duration // as configured: not more often than this
	maxCPU float64       // share of one core
	breath time.Duration
	hurry  bool // no pauses: the first and the last dump

	next  int64 // when the next dump is due, monotonic
	began int64
	ended int64
	cost  time.Duration // CPU of a dump
	stats *monitor.Probe
	work  int64 // since the last pause

	stretched bool // polls are, as isStretched said last
}

func newPacer(poll time.Duration, maxCPU float64, receiveBuffer int, stats *monitor.Probe) *pacer {
	room := time.Duration(receiveBuffer / eventCharge / breathPortion)
	p := &pacer{poll: poll, maxCPU: maxCPU, stats: stats, breath: min(maxBreath, room*time.Second/breathRate)}
	p.stats.Interval.Store(int64(poll))
	return p
}

// reconfigure changes how often polls are wanted, and how dear they may be.
func (p *pacer) reconfigure(poll time.Duration, maxCPU float64) {
	hurried := p.next < p.began+int64(p.interval())
	p.poll, p.maxCPU = poll, maxCPU
	if next := p.began + int64(p.interval()); !hurried || next < p.next {
		p.next = next
	}
	p.stats.Interval.Store(int64(p.interval()))
}

// interval is that between two dumps: stretched where a dump is dear.
func (p *pacer) interval() time.Duration { return max(p.poll, p.dear()) }

// dear is how long a dump is to be paid off.
func (p *pacer) dear() time.Duration { return time.Duration(float64(p.cost) / p.maxCPU) }

// isStretched reports whether polls are: once they are half as long again, until they are
// as long as wanted.
func (p *pacer) isStretched() bool {
	p.stretched = p.interval() > p.poll+p.poll/2 || p.stretched && p.interval() > p.poll
	return p.stretched
}

func (p *pacer) due(now conntrack.Timestamp) bool { return now.Mono >= p.next }

// soon has the next dump come out of turn, where events were lost: but not dump after
// dump while a storm goes on, and never dearer than maxCPU.
func (p *pacer) soon() {
	p.next = min(p.next, p.ended+int64(max(p.poll/10, p.dear())))
}

func (p *pacer) begin(now conntrack.Timestamp) {
	p.began, p.work = now.Mono, now.Mono
}

// end plans the next dump, after one that took so much CPU. The cost is smoothed: caches
// are colder at one time than at another. A dump in a hurry says nothing of the next: the
// first one fills the caches and the table.
func (p *pacer) end(now conntrack.Timestamp, cost time.Duration) {
	switch {
	case p.hurry:
	case p.cost == 0:
		p.cost = cost
	default:
		p.cost = (3*p.cost + cost) / 4
	}
	p.ended = now.Mono
	p.next = max(p.began+int64(p.interval()), now.Mono)
	p.stats.DumpTime.Add(now.Mono - p.began)
	p.stats.DumpCPU.Add(int64(cost))
	p.stats.Interval.Store(int64(p.interval()))
}

// pause rests where the dump has worked long enough.
func (p *pacer) pause(clock conntrack.Clock) {
	worked := clock().Mono - p.work
	if p.hurry || worked < paceWork {
		return
	}
	time.Sleep(min(time.Duration(worked*paceRest), maxRest))
	p.work = clock().Mono
}

package probe

import (
	"time"

	"github.com/conntally/conntally/cmd/conntally/monitor"
	"github.com/conntally/conntally/conntrack"
)

const (
	// A dump pauses for four times as long as it worked, in chunks of paceWork.
	paceWork  = int64(5 * time.Millisecond)
	pauseRate = 4
	// maxPause bounds a pause: events queue up meanwhile, and time in which the process
	// was stopped (SIGSTOP, no free core) was not work.
	maxPause = 20 * time.Millisecond

	// Events queue up for maxBatchWait before they are read, or for less if the receive
	// buffer is small: batchRate events/s must not fill more than half of it.
	maxBatchWait = 100 * time.Millisecond
	eventCharge  = 1280 // bytes of the buffer per event
	batchRate    = 100_000
)

// pacer decides when to dump and how fast, so that dumps take at most a share of one core.
// Only the loop's goroutine may use it.
type pacer struct {
	poll      time.Duration // the configured time between two dumps
	maxCPU    float64       // share of one core
	batchWait time.Duration // how long events queue up before they are read
	hurry     bool          // no pauses: the first and the last dump

	next  int64         // when the next dump is due, monotonic, like those below
	began int64         // when the last dump began
	ended int64         // when it ended
	work  int64         // when it began or its last pause ended
	cost  time.Duration // CPU time of a dump, smoothed
	stats *monitor.Probe

	stretched bool // what isStretched last reported
}

func newPacer(poll time.Duration, maxCPU float64, receiveBuffer int, stats *monitor.Probe) *pacer {
	room := time.Duration(receiveBuffer / eventCharge / 2)
	p := &pacer{
		poll: poll, maxCPU: maxCPU, stats: stats,
		batchWait: min(maxBatchWait, room*time.Second/batchRate),
	}
	p.stats.Interval.Store(int64(poll))
	return p
}

// reconfigure changes the configured interval and CPU share. A dump that is due earlier
// than the interval asks for stays due then.
func (p *pacer) reconfigure(poll time.Duration, maxCPU float64) {
	early := p.next < p.began+int64(p.interval())
	p.poll, p.maxCPU = poll, maxCPU
	if next := p.began + int64(p.interval()); !early || next < p.next {
		p.next = next
	}
	p.stats.Interval.Store(int64(p.interval()))
}

// interval returns the time between two dumps: the configured one, stretched as far as
// maxCPU requires.
func (p *pacer) interval() time.Duration { return max(p.poll, p.minInterval()) }

// minInterval returns the interval at which dumps take maxCPU.
func (p *pacer) minInterval() time.Duration {
	return time.Duration(float64(p.cost) / p.maxCPU)
}

// isStretched reports whether the interval is stretched: from one and a half times the
// configured one on, until it is the configured one again.
func (p *pacer) isStretched() bool {
	interval := p.interval()
	p.stretched = interval > p.poll+p.poll/2 || p.stretched && interval > p.poll
	return p.stretched
}

func (p *pacer) due(now conntrack.Timestamp) bool { return now.Mono >= p.next }

// advance makes the next dump due early because events were lost, but not sooner after the
// last one than a tenth of the interval or than maxCPU allows.
func (p *pacer) advance() {
	p.next = min(p.next, p.ended+int64(max(p.poll/10, p.minInterval())))
}

func (p *pacer) begin(now conntrack.Timestamp) {
	p.began, p.work = now.Mono, now.Mono
}

// end schedules the next dump after one that took cost of CPU time. The cost is smoothed,
// as caches are colder at some times than at others. A dump in a hurry doesn't count: the
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

// pause sleeps if the dump has worked for paceWork.
func (p *pacer) pause(clock conntrack.Clock) {
	worked := clock().Mono - p.work
	if p.hurry || worked < paceWork {
		return
	}
	time.Sleep(min(time.Duration(worked*pauseRate), maxPause))
	p.work = clock().Mono
}

package probe

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/conntally/conntally/conntrack"
)

const (
	// askPause is the least time between two questions to the loop, so that many of them cost
	// it little.
	askPause = 250 * time.Millisecond
	// askTimeout bounds the wait for an answer. A dump may take longer.
	askTimeout = 5 * time.Second
)

// errBusy is the answer of a loop that has not answered in time.
var errBusy = errors.New("the probe is busy; try again")

// question is something that only the loop can look at.
type question struct {
	read  int64 // when counters must have been read, monotonic; 0: at any time
	until int64 // when it is answered even with older counters
	look  func(now conntrack.Timestamp)
	done  chan struct{}
}

// questions passes questions to the loop, one at a time.
type questions struct {
	clock conntrack.Clock
	wake  func() // the loop

	mu    sync.Mutex // held while one asks
	asked time.Time
	next  chan *question
}

func newQuestions(clock conntrack.Clock, wake func()) *questions {
	return &questions{clock: clock, wake: wake, next: make(chan *question, 1)}
}

// ask makes the loop call look. The counters are then at most maxAge old, if they can be read
// soon enough; 0 allows any age.
func (q *questions) ask(
	ctx context.Context, maxAge time.Duration, look func(now conntrack.Timestamp),
) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	select {
	case <-ctx.Done():
		return errBusy
	case <-time.After(askPause - time.Since(q.asked)):
	}
	q.asked = time.Now()
	now := q.clock().Mono
	one := &question{until: now + int64(askTimeout)/2, look: look, done: make(chan struct{})}
	if maxAge > 0 {
		one.read = now - int64(maxAge)
	}
	select {
	case <-q.next: // abandoned by its asker
	default:
	}
	q.next <- one
	q.wake()
	select {
	case <-one.done:
		return nil
	case <-ctx.Done():
		return errBusy
	}
}

// answer answers the question that is asked, if the counters are new enough for it. Else a
// dump is made due early.
func (p *Probe) answer(now conntrack.Timestamp) {
	if p.question == nil {
		select {
		case p.question = <-p.questions.next:
		default:
			return
		}
	}
	q := p.question
	if p.Stats.Dumped.Load() < q.read && now.Mono < q.until {
		p.pacer.advance()
		return
	}
	p.question = nil
	q.look(now)
	close(q.done)
}

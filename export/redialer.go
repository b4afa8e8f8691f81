package export

import (
	"context"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/conntally/conntally/conntrack"
)

const (
	dialInterval    = 10 * time.Second // between two attempts to open a socket
	resolveInterval = 50 * time.Second // a moved collector is found within a minute
	retryInterval   = 10 * time.Second // resolveInterval where the collector seems to be gone
	resultInterval  = time.Second      // between two checks whether a dial has ended
)

// redialer opens sockets in the background, since resolving a name may take long.
type redialer struct {
	results chan dialResult
	cancel  context.CancelFunc // of the dial in progress
	dialing bool
	began   int64 // when the last dial began, monotonic
	checkAt int64 // when to check for its result, monotonic

	refused      bool // the collector has refused a datagram since the last dial began
	refusedDials int  // consecutive dials that followed a refusal
}

// dialResult is what a dial returned. conn is nil after an error, and where the name still
// has the address in use.
type dialResult struct {
	conn *net.UDPConn
	err  error
}

func newRedialer() redialer {
	return redialer{results: make(chan dialResult, 1), began: math.MinInt64 / 2}
}

// redialDue returns when redial has something to do, monotonic.
func (c *Collector) redialDue() int64 {
	r := &c.redialer
	switch {
	case r.dialing:
		return r.checkAt
	case c.socket == nil || c.broken:
		return r.began + int64(dialInterval)
	case c.literal:
		return math.MaxInt64
	case r.refused:
		return r.began + int64(retryInterval)
	}
	return r.began + int64(resolveInterval)
}

// redial uses the socket of a dial that has ended, and begins a dial where one is due: there
// is no socket, or it can't send any more, or the name may have another address by now.
func (c *Collector) redial(ctx context.Context, now conntrack.Timestamp) {
	if now.Mono < c.redialDue() {
		return
	}
	r := &c.redialer
	if !r.dialing {
		c.beginDial(ctx, now)
		return
	}
	r.checkAt = now.Mono + int64(resultInterval)
	select {
	case result := <-r.results:
		r.dialing = false
		r.cancel()
		c.use(result, now)
	default:
	}
}

// beginDial begins a dial. One refusal may be a restart; after refusals of two dials in a row
// it tries another address of the name, if there is one.
func (c *Collector) beginDial(ctx context.Context, now conntrack.Timestamp) {
	r := &c.redialer
	if r.refusedDials++; !r.refused {
		r.refusedDials = 0
	}
	r.dialing, r.refused = true, false
	r.began, r.checkAt = now.Mono, now.Mono+int64(resultInterval)

	var inUse netip.AddrPort
	if c.socket != nil && !c.broken {
		inUse = c.socket.remote
	}
	elsewhere := r.refusedDials >= 2
	ctx, r.cancel = context.WithCancel(ctx)
	go func() {
		conn, err := c.Config.dial(ctx, inUse, elsewhere)
		if err != nil {
			c.Stats.DialErrors.Add(1)
		}
		r.results <- dialResult{conn, err}
	}()
}

// abort ends a dial in progress and closes the socket that it may open all the same.
func (r *redialer) abort() {
	if !r.dialing {
		return
	}
	r.dialing = false
	r.cancel()
	go func() {
		if result := <-r.results; result.conn != nil {
			result.conn.Close()
		}
	}()
}

// use attaches the socket that a dial has opened, if it has opened one.
func (c *Collector) use(result dialResult, now conntrack.Timestamp) {
	if result.conn != nil {
		if result.err = c.attach(result.conn); result.err != nil {
			c.Stats.DialErrors.Add(1)
		}
	}
	if result.err != nil {
		c.setFailure(now, result.err)
	}
}

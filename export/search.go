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
	dialInterval   = 10 * time.Second // between tries to open a socket
	lookInterval   = 50 * time.Second // a collector that moves is found before the next templates
	retryInterval  = 10 * time.Second // the same, where the collector seems to be gone
	searchPatience = time.Second      // between looks for what a search has found
)

// search is for a collector's socket. It goes on in the background, since a name may
// take long to resolve.
type search struct {
	found    chan found
	end      context.CancelFunc // of the one under way
	underWay bool
	began    int64 // the last one, monotonic
	lookAt   int64 // when to look for what it has found

	refused bool // the collector has refused a datagram since it began
	streak  int  // searches in a row with a refusal before them
}

// found is what a search has found: no socket where there is an error, or where the
// present one is as good.
type found struct {
	conn *net.UDPConn
	err  error
}

func newSearch() search {
	return search{found: make(chan found, 1), began: math.MinInt64 / 2}
}

// searchDue returns when seek has work.
func (c *Collector) searchDue() int64 {
	s := &c.search
	switch {
	case s.underWay:
		return s.lookAt
	case c.socket == nil || c.broken:
		return s.began + int64(dialInterval)
	case c.literal:
		return math.MaxInt64
	case s.refused:
		return s.began + int64(retryInterval)
	}
	return s.began + int64(lookInterval)
}

// seek takes what a search has found, and begins one where it is due: there is no
// socket, or it can't send any more, or the name may lead elsewhere by now.
func (c *Collector) seek(ctx context.Context, now conntrack.Timestamp) {
	if now.Mono < c.searchDue() {
		return
	}
	s := &c.search
	if !s.underWay {
		c.beginSearch(ctx, now)
		return
	}
	s.lookAt = now.Mono + int64(searchPatience)
	select {
	case f := <-s.found:
		s.underWay = false
		s.end()
		c.take(f, now)
	default:
	}
}

// beginSearch leaves an address that answers only with refusals, if the name has
// others. One refusal is a restart.
func (c *Collector) beginSearch(ctx context.Context, now conntrack.Timestamp) {
	s := &c.search
	if s.streak++; !s.refused {
		s.streak = 0
	}
	s.underWay, s.refused = true, false
	s.began, s.lookAt = now.Mono, now.Mono+int64(searchPatience)

	var inUse netip.AddrPort
	if c.socket != nil && !c.broken {
		inUse = c.socket.remote
	}
	elsewhere := s.streak >= 2
	ctx, s.end = context.WithCancel(ctx)
	go func() {
		conn, err := c.Config.dial(ctx, inUse, elsewhere)
		if err != nil {
			c.Stats.DialErrors.Add(1)
		}
		s.found <- found{conn, err}
	}()
}

// abandon ends a search under way. What it finds all the same is closed.
func (s *search) abandon() {
	if !s.underWay {
		return
	}
	s.underWay = false
	s.end()
	go func() {
		if f := <-s.found; f.conn != nil {
			f.conn.Close()
		}
	}()
}

// take uses a socket that a search has found, if it has found one.
func (c *Collector) take(f found, now conntrack.Timestamp) {
	if f.conn != nil {
		if f.err = c.attach(f.conn); f.err != nil {
			c.Stats.DialErrors.Add(1)
		}
	}
	if f.err != nil {
		c.fail(now, f.err)
	}
}

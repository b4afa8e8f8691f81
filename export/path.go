package export

import (
	"time"

	"github.com/conntally/conntally/conntrack"
)

const (
	headers4   = 20 + 8          // IPv4 and UDP
	headers6   = 40 + 8          // IPv6 and UDP
	everyLink4 = 576 - headers4  // what every host takes whole (RFC 1122, section 3.3.2)
	everyLink6 = 1280 - headers6 // what every link carries (RFC 8200, section 5)
	trialTime  = 2 * time.Second // no answer after this long is a good answer
)

// path learns how large datagrams may be, which RFC 7011, section 10.3.3, wants
// to get through whole, and has no record pay for it.
//
// By IPv6 they are never larger than every link carries. By IPv4 they may be broken
// on the way, but one: the first that is larger than any before must stay whole, and
// a copy of it is kept. Where a link refuses it, the kernel learns from the answer
// what gets through, and the copy is sent again.
type path struct {
	most    int    // octets that were asked for
	proven  int    // so many got through whole
	trial   []byte // a copy of what is being tried; empty: nothing
	verdict int64  // when that is known to have got through, monotonic
}

// measure has messages be as large as may be now.
func (c *Collector) measure() {
	limit := c.path.most
	if c.socket.v6() {
		limit = min(limit, everyLink6)
	} else if mtu, err := c.socket.mtu(); err == nil {
		limit = min(limit, mtu-headers4)
	}
	c.encoder.SetLimit(limit)
	c.path.proven = min(c.path.proven, limit)
	c.Stats.Limit.Store(uint64(limit))
}

// mayTry reports whether the message, of records alone, is one to learn from.
// Templates are too important: without them no record can be read.
func (p *path) mayTry(size int) bool {
	return size > max(p.proven, everyLink4) && len(p.trial) == 0
}

// try sends the message, which must stay whole.
func (c *Collector) try(now conntrack.Timestamp) error {
	if err := c.socket.breakable(false); err != nil {
		return err
	}
	err := c.socket.send(c.message)
	if failed := c.socket.breakable(true); err == nil {
		err = failed
	}
	if err == nil {
		c.path.trial = append(c.path.trial[:0], c.message...)
		c.path.verdict = now.Mono + int64(trialTime)
	}
	return err
}

// judge ends a trial.
func (c *Collector) judge() {
	p := &c.path
	if len(p.trial) == 0 {
		return
	}
	if mtu, err := c.socket.mtu(); err == nil && len(p.trial)+headers4 > mtu {
		c.Stats.TooLarge.Add(1)
		c.measure()
		err := c.socket.send(p.trial)
		if isICMPError(err) { // to another datagram
			err = c.socket.send(p.trial)
		}
		if err == nil {
			c.Stats.Messages.Add(1)
			c.Stats.Octets.Add(uint64(len(p.trial)))
		}
	} else {
		p.proven = max(p.proven, len(p.trial))
	}
	p.trial = p.trial[:0]
}

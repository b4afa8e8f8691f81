package export

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

const (
	headers4    = 20 + 8          // IPv4 and UDP
	headers6    = 40 + 8          // IPv6 and UDP
	minPayload4 = 576 - headers4  // every host accepts it whole (RFC 1122, section 3.3.2)
	minPayload6 = 1280 - headers6 // every link carries it (RFC 8200, section 5)
	trialTime   = 2 * time.Second // after so long without an ICMP error, a trial has succeeded
)

// path discovers how large datagrams may be without fragmentation, which RFC 7011, section
// 10.3.3, demands, and loses no record by it.
//
// IPv6 datagrams are never larger than every link carries. IPv4 datagrams may be fragmented,
// except for a trial: the first datagram that is larger than any before must not be, and a copy
// of it is kept. If a link refuses it, the kernel learns the path MTU from the ICMP error, and
// the copy is sent again.
type path struct {
	configured int    // limit of the configuration, octets
	proven     int    // the largest datagram that arrived unfragmented, octets
	trial      []byte // a copy of the datagram on trial; empty: there is none
	trialEnd   int64  // when the trial has succeeded, monotonic
	// onTrial is what the datagram on trial holds. It is not among the recent ones yet, which
	// forget it if many follow.
	onTrial sentDatagram
}

// updateLimit sets the limit of messages by the path MTU that the kernel knows now.
func (c *Collector) updateLimit() {
	limit := c.path.configured
	if c.socket.v6() {
		limit = min(limit, minPayload6)
	} else if mtu, err := c.socket.mtu(); err == nil {
		limit = min(limit, mtu-headers4)
	}
	c.encoder.SetLimit(limit)
	c.path.proven = min(c.path.proven, limit)
	c.Stats.Limit.Store(uint64(limit))
}

// worthTrying reports whether a message of size octets, without templates, is to be put on trial.
// Templates never are: without them the collector can't read any record.
func (p *path) worthTrying(size int) bool {
	return size > max(p.proven, minPayload4) && len(p.trial) == 0
}

// sendUnfragmented puts the message on trial: it is sent so that no link may fragment it.
func (c *Collector) sendUnfragmented(now conntrack.Timestamp) error {
	if err := c.socket.allowFragments(false); err != nil {
		return err
	}
	err := c.socket.send(c.message)
	if failed := c.socket.allowFragments(true); err == nil {
		err = failed
	}
	if err == nil {
		c.path.trial = append(c.path.trial[:0], c.message...)
		c.path.trialEnd = now.Mono + int64(trialTime)
	}
	return err
}

// endTrial ends a trial. If the datagram was too large, its copy is sent in fragments.
func (c *Collector) endTrial(now conntrack.Timestamp) {
	p := &c.path
	if len(p.trial) == 0 {
		return
	}
	var err error
	mtu, unknown := c.socket.mtu()
	switch {
	case unknown != nil: // nothing is proven: the next one as large is on trial again
	case len(p.trial)+headers4 > mtu:
		c.Stats.TooLarge.Add(1)
		c.updateLimit()
		err = c.sendTrialAgain(now)
	default:
		p.proven = max(p.proven, len(p.trial))
	}
	if err != nil {
		c.countUnsent(now, err, &p.onTrial)
	} else {
		c.recent.add(p.onTrial)
	}
	p.trial, p.onTrial = p.trial[:0], sentDatagram{}
}

// sendTrialAgain sends the copy of the datagram that was on trial.
func (c *Collector) sendTrialAgain(now conntrack.Timestamp) (err error) {
	for range sendAttempts {
		err = c.socket.send(c.path.trial)
		if isICMPError(err) || errors.Is(err, unix.EMSGSIZE) { // of this or another datagram
			c.readICMPErrors(now)
			continue
		}
		break
	}
	if err == nil {
		c.Stats.Messages.Add(1)
		c.Stats.Octets.Add(uint64(len(c.path.trial)))
	}
	return err
}

package export

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// recoverAfter is how long a collector that failed has to go without another failure to count as
// reachable again. Templates are sent to an unreachable collector each retryInterval, and ICMP
// needs three more seconds to report a host that is off.
const recoverAfter = 2 * retryInterval

// sentDatagram describes a datagram that was sent.
type sentDatagram struct {
	sequence uint32
	records  int // 0: none, or already counted as dropped
	flows    flowTotals
}

// recentDatagrams remembers the last datagrams, so that the records in one that ICMP reports
// undelivered are known.
type recentDatagrams struct {
	ring [256]sentDatagram
	next int
}

func (r *recentDatagrams) add(d sentDatagram) {
	r.ring[r.next] = d
	r.next = (r.next + 1) % len(r.ring)
}

// take returns the datagram with a sequence number and forgets it.
func (r *recentDatagrams) take(sequence uint32) (d sentDatagram, ok bool) {
	for i := range r.ring {
		if at := &r.ring[i]; at.sequence == sequence && at.records > 0 {
			d, *at = *at, sentDatagram{}
			return d, true
		}
	}
	return sentDatagram{}, false
}

// sequenceOf reads the sequence number of a message, which may be cut off after its header.
func (p Protocol) sequenceOf(message []byte) (n uint32, ok bool) {
	if len(message) < p.headerLen() {
		return 0, false
	}
	if p == NetFlow9 {
		return be.Uint32(message[12:]), true
	}
	return be.Uint32(message[8:]), true
}

// readICMPErrors counts the datagrams that ICMP reports undelivered, and the records in them.
func (c *Collector) readICMPErrors(now conntrack.Timestamp) {
	for {
		reason, datagram, ok := c.socket.nextError()
		if !ok {
			return
		}
		// A datagram that was too large isn't lost: endTrial sends it again.
		if reason != 0 && reason != unix.EMSGSIZE {
			c.countReturned(now, reason, datagram)
		}
	}
}

// countReturned counts an undelivered datagram.
func (c *Collector) countReturned(
	now conntrack.Timestamp, reason syscall.Errno, datagram []byte,
) {
	c.Stats.Refused.Add(1)
	c.redialer.refused = true
	c.repeatTemplatesSoon(now)
	c.setFailure(now, reason)
	if sequence, ok := c.Config.Protocol.sequenceOf(datagram); ok {
		if d, known := c.takeSent(sequence); known {
			c.Stats.drop(d.records, &d.flows)
		}
	}
}

// takeSent returns the datagram with a sequence number, which may be on trial, and forgets it.
func (c *Collector) takeSent(sequence uint32) (d sentDatagram, ok bool) {
	if t := &c.path.onTrial; t.sequence == sequence && t.records > 0 {
		d, *t = *t, sentDatagram{}
		return d, true
	}
	return c.recent.take(sequence)
}

// isICMPError reports whether an error may be an ICMP error of an earlier datagram: nothing
// listens at the port, a firewall rejects, or the host doesn't answer. If the next send returns
// it again, it comes from this machine's routes.
func isICMPError(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.EHOSTUNREACH) ||
		errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EACCES) ||
		errors.Is(err, unix.EPROTO)
}

// setFailure records why the collector can't be reached.
func (c *Collector) setFailure(now conntrack.Timestamp, err error) {
	c.failure, c.failedAt = err, now.Mono
}

// Failure returns why datagrams don't reach the collector, or nil if they do as far as is known.
// Only the goroutine that exports may call it.
func (c *Collector) Failure(now conntrack.Timestamp) error {
	if c.socket != nil {
		c.readICMPErrors(now)
		if now.Mono-c.failedAt >= int64(recoverAfter) {
			c.failure = nil
		}
	}
	return c.failure
}

package export

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// recoverAfter is how long a collector that failed must do without another failure to be
// taken for well. One that is away is sent templates each retryInterval, and a host that is
// off is known after another three seconds.
const recoverAfter = 2 * retryInterval

// sent is a datagram that was sent lately.
type sent struct {
	sequence uint32
	records  int // 0: none, or known to be lost
	flows    sum
}

// recent are the datagrams sent last, so that those which come back are known.
type recent struct {
	list [256]sent
	next int
}

func (r *recent) add(s sent) {
	r.list[r.next] = s
	r.next = (r.next + 1) % len(r.list)
}

// take returns the datagram with a sequence number, once.
func (r *recent) take(sequence uint32) (s sent, known bool) {
	for i := range r.list {
		if at := &r.list[i]; at.sequence == sequence && at.records > 0 {
			s, *at = *at, sent{}
			return s, true
		}
	}
	return sent{}, false
}

// sequenceOf reads the sequence number of a message of which at least the header is there.
func (p Protocol) sequenceOf(message []byte) (n uint32, ok bool) {
	if len(message) < p.headerLen() {
		return 0, false
	}
	if p == NetFlow9 {
		return be.Uint32(message[12:]), true
	}
	return be.Uint32(message[8:]), true
}

// readAnswers counts the datagrams that ICMP says did not arrive, with what they held.
func (c *Collector) readAnswers(now conntrack.Timestamp) {
	for {
		reason, datagram, ok := c.socket.nextError()
		if !ok {
			return
		}
		// What was too large for the path isn't lost: path.go measures the path.
		if reason != 0 && reason != unix.EMSGSIZE {
			c.comeBack(now, reason, datagram)
		}
	}
}

// comeBack counts a datagram that did not arrive.
func (c *Collector) comeBack(now conntrack.Timestamp, reason syscall.Errno, datagram []byte) {
	c.Stats.Refused.Add(1)
	c.search.refused = true
	c.retryPreamble(now)
	c.fail(now, reason)
	if sequence, ok := c.Config.Protocol.sequenceOf(datagram); ok {
		if s, known := c.recent.take(sequence); known {
			c.Stats.Dropped.Add(uint64(s.records))
			c.Stats.lose(&s.flows)
		}
	}
}

// isICMPError reports whether an error may be an ICMP answer: nobody listens at the port, a
// firewall rejects, or the host doesn't answer. One of a send that comes again at once is
// of the routes here.
func isICMPError(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.EHOSTUNREACH) ||
		errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPROTO)
}

// fail notes that the collector can't be reached.
func (c *Collector) fail(now conntrack.Timestamp, err error) {
	c.failure, c.failedAt = err, now.Mono
}

// Failure returns why what is exported doesn't reach the collector, as far as is known:
// nil where it does. It belongs to the goroutine that exports.
func (c *Collector) Failure(now conntrack.Timestamp) error {
	if c.socket != nil {
		c.readAnswers(now)
		if now.Mono-c.failedAt >= int64(recoverAfter) {
			c.failure = nil
		}
	}
	return c.failure
}

package export

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

const (
	messageDelay     = time.Second      // a record waits no longer for company
	preambleInterval = 60 * time.Second // UDP loses templates, and collectors restart
)

// Collector exports to one collector by UDP. A datagram that can't be sent is
// dropped and counted: the gap shows in the sequence.
type Collector struct {
	Stats  CollectorStats
	Config CollectorConfig

	encoder  *Encoder
	clock    conntrack.Clock
	message  []byte // being sent
	flush    int64  // when the message is due, monotonic; 0 = it is empty
	preamble int64  // when the templates are due

	interfaces uint32 // version of what is told of them

	search  search
	literal bool // the collector has no name that may lead elsewhere
	socket  *socket
	broken  bool // another socket is needed: this one can't send, or not from where it should
	path    path

	recent   recent
	failure  error // why the collector can't be reached; nil: it can, as far as is known
	failedAt int64 // when that was last seen, monotonic
}

// NewCollector returns a Collector that opens its socket in the background, at
// its first Tick.
func NewCollector(t CollectorConfig, clock conntrack.Clock) *Collector {
	most := t.MaxDatagram
	if most == 0 {
		most = DefaultMessageSize
	}
	return &Collector{
		Config: t, clock: clock, literal: t.literal(), search: newSearch(),
		encoder: NewEncoder(t.Protocol, t.domain(), most, t.RecordOptions),
		path:    path{most: most},
	}
}

// Open resolves the name and opens the socket.
func (c *Collector) Open(ctx context.Context) error {
	conn, err := c.Config.dial(ctx, netip.AddrPort{}, false)
	if err != nil {
		c.fail(c.clock(), err)
		return err
	}
	c.search.began = c.clock().Mono - int64(dialInterval) // should it break soon, search at once
	return c.attach(conn)
}

// attach takes a new socket into use. Collectors key templates by the sender's
// port, so they are due at once, and what is pending leaves by the old socket.
func (c *Collector) attach(conn *net.UDPConn) error {
	s, err := newSocket(conn)
	if err != nil {
		conn.Close()
		return err
	}
	if c.socket != nil {
		c.finish(c.clock())
		c.judge()
		c.socket.conn.Close()
	}
	c.socket, c.broken, c.preamble = s, false, 0
	c.search.refused, c.search.streak = false, 0
	c.path.proven = 0
	c.measure()
	return nil
}

// export adds what becomes of a pair to the message, and sends those that are full.
func (c *Collector) export(p *flow.Pair) {
	records, n := c.encoder.dataRecords(p)
	for i := range records[:n] {
		c.add(records[i], p.At())
	}
}

func (c *Collector) add(d dataRecord, now conntrack.Timestamp) {
	if c.socket == nil {
		c.Stats.Dropped.Add(1)
		one := sum{}
		one.add(d)
		c.Stats.lose(&one)
		return
	}
	c.begin(now)
	for !c.encoder.addRecord(d, now.Wall) { // twice where templates fill a message up
		c.finish(now)
		c.begin(now)
	}
	c.wait(now)
}

// wait has a record wait for company.
func (c *Collector) wait(now conntrack.Timestamp) {
	if c.flush == 0 {
		c.flush = now.Mono + int64(messageDelay)
	}
}

// describe has the collector told of these interfaces, unless it is the version that
// it knows.
func (c *Collector) describe(all []flow.Interface, version uint32) {
	if c.interfaces != version {
		c.interfaces = version
		c.encoder.SetInterfaces(all)
	}
}

// begin puts the templates, or what there is to tell of interfaces, in front of a
// message where they are due. What has no room in it leaves in messages ahead.
func (c *Collector) begin(now conntrack.Timestamp) {
	if !c.encoder.Empty() {
		return
	}
	if now.Mono < c.preamble {
		for c.encoder.HasNews() && !c.encoder.AddNews(now.Wall) {
			c.finish(now)
		}
		return
	}
	c.preamble = now.Mono + int64(preambleInterval)
	c.broken = c.broken || !c.Config.Source.IsValid() && c.socket.rerouted()
	c.measure()
	c.encoder.setTotals(c.Stats.totals())
	for !c.encoder.AddPreamble(now.Wall) {
		c.finish(now)
	}
}

// finish sends the message.
func (c *Collector) finish(now conntrack.Timestamp) {
	if c.encoder.Empty() {
		return
	}
	records, flows, whole := c.encoder.Records(), c.encoder.flows, !c.encoder.HasTemplates()
	c.message, c.flush = c.encoder.Finish(now.Wall), 0
	if err := c.transmit(now, whole); err != nil {
		c.Stats.SendErrors.Add(1)
		c.Stats.Dropped.Add(uint64(records))
		c.Stats.lose(&flows)
		c.retryPreamble(now)
		c.fail(now, err)
		c.broken = c.broken || !passing(err)
		return
	}
	if sequence, ok := c.Config.Protocol.sequenceOf(c.message); ok {
		c.recent.add(sent{sequence, records, flows})
	}
	c.Stats.Messages.Add(1)
	c.Stats.Records.Add(uint64(records))
	c.Stats.Flows.Add(flows.flows)
	c.Stats.Octets.Add(uint64(len(c.message)))
}

// transmit sends the message. An error may be the answer to an earlier datagram: then this
// one wasn't sent, and is sent again.
func (c *Collector) transmit(now conntrack.Timestamp, whole bool) (err error) {
	for range 3 {
		if whole && c.path.mayTry(len(c.message)) {
			err = c.try(now)
		} else {
			err = c.socket.send(c.message)
		}
		switch {
		case isICMPError(err):
			c.readAnswers(now)
		case errors.Is(err, unix.EMSGSIZE):
			c.judge()
			c.measure()
			whole = false
		default:
			return err
		}
	}
	return err
}

// retryPreamble makes the templates due soon: they may have been in a datagram that
// was lost, or the collector may have restarted.
func (c *Collector) retryPreamble(now conntrack.Timestamp) {
	c.preamble = min(c.preamble, now.Mono+int64(retryInterval))
}

// passing tells an error that the socket survives. Others may last: a socket
// doesn't send any more once its own address is gone.
func passing(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS)
}

// tick does what is due at one of the collectors: a socket, templates, a message
// that has waited long enough.
func (c *Collector) tick(ctx context.Context, now conntrack.Timestamp) {
	c.seek(ctx, now)
	if c.socket == nil {
		return
	}
	c.readAnswers(now)
	if now.Mono >= c.path.verdict {
		c.judge()
	}
	if c.encoder.HasNews() {
		c.finish(now)
	}
	c.begin(now)
	c.finish(now)
}

// due returns when tick has work, monotonic.
func (c *Collector) due() int64 {
	at := c.searchDue()
	if c.socket == nil {
		return at
	}
	if len(c.path.trial) > 0 {
		at = min(at, c.path.verdict)
	}
	if c.encoder.HasNews() {
		return 0
	}
	if c.flush != 0 {
		return min(at, c.flush)
	}
	return min(at, c.preamble)
}

// Close sends what is left and closes the socket, and one that a search may find.
func (c *Collector) Close(now conntrack.Timestamp) {
	c.search.abandon()
	if c.socket == nil {
		return
	}
	c.finish(now)
	c.judge()
	c.socket.conn.Close()
	c.socket = nil
}

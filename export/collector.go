package export

import (
	"cmp"
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

const (
	messageDelay  = time.Second      // how long a record may wait for more to fill its message
	routeInterval = 60 * time.Second // between two checks of the route, which may have changed
	sendAttempts  = 3
)

// Collector exports to one collector by UDP. A datagram that can't be sent is dropped and
// counted; the collector sees the gap in the sequence.
type Collector struct {
	Stats  CollectorStats
	Config CollectorConfig

	encoder     *Encoder
	clock       conntrack.Clock
	message     []byte // being sent
	flushAt     int64  // when the message has to be sent, monotonic; 0: it is empty
	templatesAt int64  // when the templates are due, monotonic
	routeAt     int64  // when the route has to be checked, monotonic

	interfacesVersion uint32 // of the interfaces that the encoder has

	redialer redialer
	literal  bool // the host is an address, not a name
	socket   *socket
	broken   bool // the socket can't send, or sends from the wrong address: open another one
	path     path

	recent   recentDatagrams
	failure  error // why the collector can't be reached; nil: it can, as far as is known
	failedAt int64 // when failure was last seen, monotonic
}

// NewCollector returns a Collector that opens its socket in the background, at its first
// Tick.
func NewCollector(config CollectorConfig, clock conntrack.Clock) *Collector {
	limit := cmp.Or(config.MaxDatagram, DefaultMessageSize)
	return &Collector{
		Config: config, clock: clock, literal: config.literal(), redialer: newRedialer(),
		encoder: NewEncoder(config.Protocol, config.domain(), limit, config.RecordOptions),
		path:    path{configured: limit},
	}
}

// Open resolves the name and opens the socket.
func (c *Collector) Open(ctx context.Context) error {
	conn, err := c.Config.Dial(ctx)
	if err != nil {
		c.setFailure(c.clock(), err)
		return err
	}
	c.redialer.began = c.clock().Mono - int64(dialInterval) // if it breaks soon, redial at once
	return c.attach(conn)
}

// attach replaces the socket. Pending records leave by the old one. Collectors know templates
// by the sender's port, so they are due at once.
func (c *Collector) attach(conn *net.UDPConn) error {
	s, err := newSocket(conn, c.Config.device())
	if err != nil {
		conn.Close()
		return err
	}
	if c.socket != nil {
		c.send(c.clock())
		c.endTrial(c.clock())
		c.socket.conn.Close()
	}
	c.socket, c.broken, c.templatesAt = s, false, 0
	c.redialer.refused, c.redialer.refusedDials = false, 0
	c.path.proven = 0
	c.updateLimit()
	return nil
}

// export adds the records of a pair to the message, and sends each message that is full.
func (c *Collector) export(p *flow.Pair) {
	first, second := c.encoder.dataRecords(p)
	if first.record != nil {
		c.add(first, p.At())
	}
	if second.record != nil {
		c.add(second, p.At())
	}
}

func (c *Collector) add(d dataRecord, now conntrack.Timestamp) {
	if c.socket == nil {
		var flows flowTotals
		flows.add(d)
		c.Stats.drop(1, &flows)
		return
	}
	if c.encoder.Empty() {
		c.beginMessage(now)
	}
	for !c.encoder.addRecord(d, now.Wall) { // twice where templates fill a message
		c.send(now)
		c.beginMessage(now)
	}
	if c.flushAt == 0 {
		c.flushAt = now.Mono + int64(messageDelay)
	}
}

// setInterfaces passes the router's interfaces to the encoder if their version is new.
func (c *Collector) setInterfaces(all []flow.Interface, version uint32) {
	if c.interfacesVersion != version {
		c.interfacesVersion = version
		c.encoder.SetInterfaces(all)
	}
}

// beginMessage puts the templates where they are due, or else new interfaces, at the front of
// an empty message. It sends the messages that they fill.
func (c *Collector) beginMessage(now conntrack.Timestamp) {
	if !c.encoder.Empty() {
		return
	}
	templatesDue := now.Mono >= c.templatesAt
	if templatesDue || now.Mono >= c.routeAt {
		c.checkRoute(now)
	}
	if !templatesDue {
		for c.encoder.HasPending() && !c.encoder.AddPending(now.Wall) {
			c.send(now)
		}
		return
	}
	interval := cmp.Or(c.Config.TemplateInterval, DefaultTemplateInterval)
	c.templatesAt = now.Mono + int64(interval)
	c.encoder.setStatistics(c.Stats.statistics())
	for !c.encoder.AddTemplates(now.Wall) {
		c.send(now)
	}
}

// checkRoute adapts to what has changed on the way to the collector.
func (c *Collector) checkRoute(now conntrack.Timestamp) {
	c.routeAt = now.Mono + int64(routeInterval)
	c.broken = c.broken || c.socket.lostDevice() ||
		!c.Config.Source.IsValid() && c.socket.sourceChanged()
	c.updateLimit()
}

// send sends the message unless it is empty. If it can't be sent, its records are dropped.
func (c *Collector) send(now conntrack.Timestamp) {
	if c.encoder.Empty() {
		return
	}
	dataOnly := !c.encoder.HasTemplates()
	d := sentDatagram{records: c.encoder.Records(), flows: c.encoder.flows}
	c.message, c.flushAt = c.encoder.Finish(now.Wall), 0
	d.sequence, _ = c.Config.Protocol.sequenceOf(c.message)
	var err error
	onTrial := false
	for range sendAttempts {
		if onTrial = dataOnly && c.path.worthTrying(len(c.message)); onTrial {
			err = c.sendUnfragmented(now)
		} else {
			err = c.socket.send(c.message)
		}
		if isICMPError(err) { // of an earlier datagram: this one was not sent
			c.readICMPErrors(now)
			continue
		}
		if !errors.Is(err, unix.EMSGSIZE) {
			break
		}
		c.endTrial(now)
		c.updateLimit()
		dataOnly = false
	}
	if err != nil {
		c.countUnsent(now, err, &d)
		return
	}
	if onTrial {
		c.path.onTrial = d
	} else {
		c.recent.add(d)
	}
	c.Stats.Messages.Add(1)
	c.Stats.Records.Add(uint64(d.records))
	c.Stats.Flows.Add(d.flows.flows)
	c.Stats.Octets.Add(uint64(len(c.message)))
}

// countUnsent counts a datagram that couldn't be sent, and its records as dropped.
func (c *Collector) countUnsent(now conntrack.Timestamp, err error, d *sentDatagram) {
	c.Stats.SendErrors.Add(1)
	c.Stats.drop(d.records, &d.flows)
	c.repeatTemplatesSoon(now)
	c.setFailure(now, err)
	c.broken = c.broken || !isTemporary(err)
}

// repeatTemplatesSoon makes the templates due within retryInterval: a lost datagram may have
// held them, or the collector may have restarted.
func (c *Collector) repeatTemplatesSoon(now conntrack.Timestamp) {
	c.templatesAt = min(c.templatesAt, now.Mono+int64(retryInterval))
}

// isTemporary reports whether the socket survives an error. After others it may never send
// again: for example, its own address may be gone.
func isTemporary(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.EAGAIN) ||
		errors.Is(err, unix.ENOBUFS)
}

// tick does what is due: opening a socket, sending templates, sending a message that has
// waited for messageDelay.
func (c *Collector) tick(ctx context.Context, now conntrack.Timestamp) {
	c.redial(ctx, now)
	if c.socket == nil {
		return
	}
	c.readICMPErrors(now)
	if now.Mono >= c.path.trialEnd {
		c.endTrial(now)
	}
	if c.encoder.HasPending() {
		c.send(now)
	}
	c.beginMessage(now)
	c.send(now)
}

// due returns when tick has something to do, monotonic.
func (c *Collector) due() int64 {
	at := c.redialDue()
	if c.socket == nil {
		return at
	}
	if len(c.path.trial) > 0 {
		at = min(at, c.path.trialEnd)
	}
	if c.encoder.HasPending() {
		return 0
	}
	if c.flushAt != 0 {
		return min(at, c.flushAt)
	}
	return min(at, c.templatesAt, c.routeAt)
}

// Close sends what is pending, closes the socket and aborts a dial in progress.
func (c *Collector) Close(now conntrack.Timestamp) {
	c.redialer.abort()
	if c.socket == nil {
		return
	}
	c.send(now)
	c.endTrial(now)
	c.socket.conn.Close()
	c.socket = nil
}

package export

import (
	"time"

	"github.com/conntally/conntally/flow"
)

// Encoder packs records into the messages of one exporter process, as RFC 7011
// calls the state behind one sequence of messages. It does no I/O and, once made,
// allocates nothing.
type Encoder struct {
	protocol  Protocol
	domain    uint32
	templates []template
	preamble  preamble
	limit     int // octets of a message

	sequence uint32
	boot     int64 // NetFlow v9: virtual boot time, ms since 1970
	newest   int64 // the latest time in the message, ns since 1970

	message []byte // the message being made, its header's place first
	set     int    // where the open set begins, 0 = none is open
	open    uint16 // and its id
	records int    // data records in the message, option data included
	others  int    // template records in it
}

// minMessage is room for the preamble and some records.
const minMessage = 1200

// NewEncoder returns an Encoder for messages of at most limit octets. domain is
// the observation domain id, or v9's source id.
func NewEncoder(p Protocol, domain uint32, limit int) *Encoder {
	limit = max(limit, minMessage)
	e := &Encoder{
		protocol: p, domain: domain, limit: limit,
		templates: templates(p),
		message:   make([]byte, p.headerLen(), limit),
	}
	e.preamble = newPreamble(p, domain, e.templates)
	return e
}

// Empty tells whether the message holds nothing yet.
func (e *Encoder) Empty() bool { return e.records == 0 && e.others == 0 }

// Records returns how many data records the message holds.
func (e *Encoder) Records() int { return e.records }

// begin prepares a message for what comes now, or returns false where the clock has
// been set so far that it needs another boot time than the message has.
func (e *Encoder) begin(now int64) bool {
	if !e.bootFits(now) {
		if !e.Empty() {
			return false
		}
		e.boot = millis(now) - bootMargin
	}
	e.newest = max(e.newest, now)
	return true
}

// AddPreamble adds the templates and options. They go first, so the message must
// be empty. now is the system time in ns since 1970.
func (e *Encoder) AddPreamble(now int64) {
	e.begin(now)
	e.message = append(e.message, e.preamble.sets...)
	e.others += e.preamble.templates
	e.records += e.preamble.data
}

// Add adds r, or returns false where the message has no room for it and is to be
// finished first.
func (e *Encoder) Add(r *flow.Record, now int64) bool {
	t := &e.templates[kindOf(r)]
	if !e.begin(now) || !e.fits(t) {
		return false
	}
	e.newest = max(e.newest, r.End)
	if e.set == 0 || e.open != t.id {
		e.finishSet()
		e.set, e.open = openSet(&e.message, t.id), t.id
	}
	at := len(e.message)
	e.message = e.message[:at+t.size]
	b := e.message[at:]
	for i := range t.fields {
		f := &t.fields[i]
		f.put(b[:f.size], r, e.boot)
		b = b[f.size:]
	}
	e.records++
	return true
}

// Fits tells whether the message has room for r.
func (e *Encoder) Fits(r *flow.Record) bool { return e.fits(&e.templates[kindOf(r)]) }

// fits tells whether a record of t, with the set and the paddings that it may
// need, has room.
func (e *Encoder) fits(t *template) bool {
	const padding = 3
	need := t.size + padding
	if e.open != t.id {
		need += padding + setHeaderLen
	}
	return len(e.message)+need <= e.limit
}

func (e *Encoder) finishSet() {
	if e.set != 0 {
		closeSet(&e.message, e.set)
	}
	e.set, e.open = 0, 0
}

// Finish completes the message and returns it. It is valid until the next call
// of Add or AddPreamble, which begin another one.
func (e *Encoder) Finish(now int64) []byte {
	e.finishSet()
	b := e.message
	if e.protocol == NetFlow9 {
		e.header9(b, e.exportTime(now))
	} else {
		e.header10(b, now)
	}
	e.message = e.message[:e.protocol.headerLen()]
	e.records, e.others, e.newest = 0, 0, 0
	return b
}

// header10 is IPFIX's: the sequence counts data records sent before.
func (e *Encoder) header10(b []byte, now int64) {
	be.PutUint16(b[0:], uint16(IPFIX))
	be.PutUint16(b[2:], uint16(len(b)))
	be.PutUint32(b[4:], uint32(now/int64(time.Second)))
	be.PutUint32(b[8:], e.sequence)
	be.PutUint32(b[12:], e.domain)
	e.sequence += uint32(e.records)
}

// header9 is NetFlow v9's: the sequence counts messages. Seconds are rounded up,
// so that no record ends after the uptime that they stand for.
func (e *Encoder) header9(b []byte, now int64) {
	secs := (now + int64(time.Second) - 1) / int64(time.Second)
	be.PutUint16(b[0:], uint16(NetFlow9))
	be.PutUint16(b[2:], uint16(e.records+e.others))
	be.PutUint32(b[4:], uint32(secs*1000-e.boot))
	be.PutUint32(b[8:], uint32(secs))
	be.PutUint32(b[12:], e.sequence)
	be.PutUint32(b[16:], e.domain)
	e.sequence++
}

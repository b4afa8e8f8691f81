package export

import (
	"time"

	"github.com/conntally/conntally/flow"
)

// Encoder packs records into the messages of one exporter process, as RFC 7011
// calls the state behind one sequence of messages. It does no I/O and, once made,
// allocates nothing.
type Encoder struct {
	protocol Protocol
	domain   uint32
	optional RecordOptions
	// writesOptional reports whether optional has fields.
	writesOptional bool

	templates []template
	preamble  preamble
	limit     int // octets of a message

	sequence uint32
	boot     int64 // NetFlow v9: virtual boot time, ms since 1970
	newest   int64 // the latest time in the message, ns since 1970

	image   image  // of the record being added
	message []byte // the message being made, its header's place first
	set     int    // where the open set begins, 0 = none is open
	open    uint16 // and its id
	records int    // data records in the message, option data included
	others  int    // template records in it
	flows   sum    // flow records in it
}

// sum is of flow records: how many, and what they count.
type sum struct{ flows, packets, octets uint64 }

// minMessage is what RFC 7011, section 10.3.3, wants where nothing is known of a
// path, and room for any record.
const minMessage = 512

// NewEncoder returns an Encoder for messages of at most limit octets. domain is
// the observation domain id, or v9's source id.
func NewEncoder(p Protocol, domain uint32, limit int, o RecordOptions) *Encoder {
	limit = max(limit, minMessage)
	e := &Encoder{
		protocol: p, domain: domain, optional: o.of(p), limit: limit,
		writesOptional: len(o.of(p).fields()) > 0,
		templates:      append(templates(p, o), natTemplates(p)...),
		message:        make([]byte, p.headerLen(), limit),
	}
	told := e.templates
	if !o.NATEvents {
		told = told[:templateCount]
	}
	e.preamble = newPreamble(p, domain, told)
	return e
}

// Empty reports whether the message holds nothing yet.
func (e *Encoder) Empty() bool { return e.records == 0 && e.others == 0 }

// HasTemplates reports whether the message has any.
func (e *Encoder) HasTemplates() bool { return e.others > 0 }

// SetLimit bounds messages that begin from now on.
func (e *Encoder) SetLimit(limit int) { e.limit = max(limit, minMessage) }

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

// Add adds r, or returns false where the message has no room for it and is to be
// finished first.
func (e *Encoder) Add(r *flow.Record, now int64) bool {
	return e.addRecord(dataRecord{record: r}, now)
}

func (e *Encoder) addRecord(d dataRecord, now int64) bool {
	t := &e.templates[kindOf(d.record)] // inlined, as templateOf isn't
	if d.reverse != nil {
		t = e.templateOf(d)
	}
	if !e.begin(now) || !e.hasRoom(t.id, t.size, false) {
		return false
	}
	e.newest = max(e.newest, d.record.End)
	e.openSet(t.id, false)
	at := len(e.message)
	e.message = e.message[:at+t.size]
	e.image.write(d.record, e.boot, e.writesOptional)
	rest := e.image.put(e.message[at:], t.runs)
	if d.reverse != nil {
		e.image.write(d.reverse, e.boot, e.writesOptional)
		e.image.put(rest, t.reverseRuns)
	}
	e.records++
	e.flows.add(d)
	return true
}

func (s *sum) add(d dataRecord) {
	s.flows++
	s.packets += d.record.Packets
	s.octets += d.record.Bytes
	if d.reverse != nil {
		s.packets += d.reverse.Packets
		s.octets += d.reverse.Bytes
	}
}

// padding is what a set may need to end on a whole word.
const padding = 3

// hasRoom reports whether size octets, with the set and the paddings that they may
// need, have room.
func (e *Encoder) hasRoom(set uint16, size int, alone bool) bool {
	need := size + padding
	if alone || e.set == 0 || e.open != set {
		need += padding + setHeaderLen
	}
	return len(e.message)+need <= e.limit
}

// openSet makes what is added next stand in a set of this id.
func (e *Encoder) openSet(id uint16, alone bool) {
	if alone || e.set == 0 || e.open != id {
		e.finishSet()
		e.set, e.open = openSet(&e.message, id), id
	}
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
	e.records, e.others, e.flows, e.newest = 0, 0, sum{}, 0
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

package export

import (
	"time"

	"github.com/conntally/conntally/flow"
)

// Encoder packs records into the messages of one exporter process, as RFC 7011 calls the state
// behind one sequence of messages. It does no I/O, and allocates only in NewEncoder and
// SetInterfaces.
type Encoder struct {
	protocol   Protocol
	domain     uint32
	options    RecordOptions
	writesMore bool // records have uptimes or optional fields

	templates   []template
	templateSet templateSet
	limit       int // octets of a message

	sequence uint32
	boot     int64 // NetFlow v9: virtual boot time, ms since 1970
	newest   int64 // NetFlow v9: the latest time in the message, ns since 1970

	scratch         scratch    // the record being added
	message         []byte     // the message being built; its header is written last
	set             int        // where in it the open set begins; 0: none is open
	setID           uint16     // of the open set
	records         int        // data records in the message, option data included
	templateRecords int        // template records in it
	flows           flowTotals // flow records in it
}

// flowTotals counts flow records, and the packets and octets in them.
type flowTotals struct{ flows, packets, octets uint64 }

// minMessage is the size that RFC 7011, section 10.3.3, prescribes for a path of unknown MTU.
// It has room for any record.
const minMessage = 512

// NewEncoder returns an Encoder for messages of at most limit octets. domain is the
// observation domain id, or v9's source id.
func NewEncoder(p Protocol, domain uint32, limit int, o RecordOptions) *Encoder {
	limit, o = max(limit, minMessage), o.supportedBy(p)
	e := &Encoder{
		protocol: p, domain: domain, options: o, limit: limit,
		writesMore: p == NetFlow9 || len(o.fields()) > 0,
		templates:  append(templates(p, o), natTemplates(p)...),
		message:    make([]byte, p.headerLen(), limit+scratchLen), // see template.inPlace
	}
	announced := e.templates
	if !o.NATEvents {
		announced = announced[:templateCount]
	}
	e.templateSet = newTemplateSet(p, domain, announced)
	return e
}

// Empty reports whether the message holds nothing yet.
func (e *Encoder) Empty() bool { return e.records == 0 && e.templateRecords == 0 }

// HasTemplates reports whether the message holds templates.
func (e *Encoder) HasTemplates() bool { return e.templateRecords > 0 }

// SetLimit changes the limit of messages that begin from now on.
func (e *Encoder) SetLimit(limit int) { e.limit = max(limit, minMessage) }

// Records returns how many data records the message holds.
func (e *Encoder) Records() int { return e.records }

// begin prepares the message for a record that is added at now and ends at end. It returns false
// if the clock was set so far that a record of NetFlow v9 needs another boot time than the message
// has.
func (e *Encoder) begin(now, end int64) bool {
	if e.protocol != NetFlow9 {
		return true
	}
	if !e.bootFits(now) {
		if !e.Empty() {
			return false
		}
		e.boot = millis(now) - bootMargin
	}
	e.newest = max(e.newest, now, end)
	return true
}

// Add adds r. It returns false if the message has no room for it and has to be finished first.
func (e *Encoder) Add(r *flow.Record, now int64) bool {
	return e.addRecord(dataRecord{record: r}, now)
}

func (e *Encoder) addRecord(d dataRecord, now int64) bool {
	t := &e.templates[kindOf(d.record)] // inlined, unlike templateOf
	if d.reverse != nil {
		t = e.templateOf(d)
	}
	if !e.hasRoom(t.id, t.size, false) || !e.begin(now, d.record.End) {
		return false
	}
	e.openSet(t.id, false)
	at := len(e.message)
	e.message = e.message[:at+t.size]
	if t.inPlace {
		e.write((*scratch)(e.message[at:at+scratchLen]), d.record)
	} else {
		e.copyOut(e.message[at:], d, t)
	}
	e.records++
	e.flows.add(d)
	return true
}

// copyOut puts a record to b by way of the scratch.
func (e *Encoder) copyOut(b []byte, d dataRecord, t *template) {
	e.write(&e.scratch, d.record)
	rest := e.scratch.put(b, t.spans)
	if d.reverse != nil {
		e.write(&e.scratch, d.reverse)
		e.scratch.put(rest, t.reverseSpans)
	}
}

// write writes the values of r that templates may have.
func (e *Encoder) write(m *scratch, r *flow.Record) {
	m.write(r)
	if e.writesMore {
		e.writeMore(m, r)
	}
}

// writeMore writes the values that not all templates have.
func (e *Encoder) writeMore(m *scratch, r *flow.Record) {
	if e.protocol == NetFlow9 {
		m.writeUptimes(r, e.boot)
	}
	m.writeOptional(r)
}

func (s *flowTotals) add(d dataRecord) {
	s.flows++
	s.packets += d.record.Packets
	s.octets += d.record.Bytes
	if d.reverse != nil {
		s.packets += d.reverse.Packets
		s.octets += d.reverse.Bytes
	}
}

const (
	setHeaderLen = 4 // id and length
	padding      = 3 // at most, so that a set ends on a whole word
)

// hasRoom reports whether the message has room for a record of size octets, including a set
// header and padding if it needs them.
func (e *Encoder) hasRoom(set uint16, size int, alone bool) bool {
	need := size + padding
	if alone || e.set == 0 || e.setID != set {
		need += padding + setHeaderLen
	}
	return len(e.message)+need <= e.limit
}

// openSet begins a set with an id, unless it is open already. A record that is alone gets a new
// set in any case.
func (e *Encoder) openSet(id uint16, alone bool) {
	if alone || e.set == 0 || e.setID != id {
		e.closeSet()
		e.set, e.setID = len(e.message), id
		e.message = be.AppendUint32(e.message, uint32(id)<<16)
	}
}

// closeSet pads the open set to whole words and writes its length.
func (e *Encoder) closeSet() {
	if e.set == 0 {
		return
	}
	for len(e.message)%4 != 0 {
		e.message = append(e.message, 0)
	}
	be.PutUint16(e.message[e.set+2:], uint16(len(e.message)-e.set))
	e.set, e.setID = 0, 0
}

// Finish completes the message and returns it. It is valid until the next call of Add,
// AddTemplates or AddPending, which begins another one.
func (e *Encoder) Finish(now int64) []byte {
	e.closeSet()
	b := e.message
	if e.protocol == NetFlow9 {
		e.header9(b, e.exportTime(now))
	} else {
		e.header10(b, now)
	}
	e.message = e.message[:e.protocol.headerLen()]
	e.records, e.templateRecords, e.flows, e.newest = 0, 0, flowTotals{}, 0
	return b
}

// header10 writes an IPFIX header. Its sequence counts the data records sent before.
func (e *Encoder) header10(b []byte, now int64) {
	be.PutUint16(b[0:], uint16(IPFIX))
	be.PutUint16(b[2:], uint16(len(b)))
	be.PutUint32(b[4:], uint32(now/int64(time.Second)))
	be.PutUint32(b[8:], e.sequence)
	be.PutUint32(b[12:], e.domain)
	e.sequence += uint32(e.records)
}

// header9 writes a NetFlow v9 header. Its sequence counts messages. Seconds are rounded up, so
// that no record ends after the uptime in the header.
func (e *Encoder) header9(b []byte, now int64) {
	secs := (now + int64(time.Second) - 1) / int64(time.Second)
	be.PutUint16(b[0:], uint16(NetFlow9))
	be.PutUint16(b[2:], uint16(e.records+e.templateRecords))
	be.PutUint32(b[4:], uint32(secs*1000-e.boot))
	be.PutUint32(b[8:], uint32(secs))
	be.PutUint32(b[12:], e.sequence)
	be.PutUint32(b[16:], e.domain)
	e.sequence++
}

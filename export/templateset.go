package export

import (
	"github.com/conntally/conntally/flow"
)

// templateSet is what a collector needs before flow records: all templates, and option data.
// Each of its records fits into any message. It is encoded once; only SetInterfaces and
// setStatistics change it.
type templateSet struct {
	options    []option
	fixed      []metaRecord // all but the interfaces
	interfaces []metaRecord
	pending    []metaRecord // interfaces that the collector hasn't been sent yet
	statistics []byte       // the record in fixed that setStatistics overwrites
	done       int          // how many records AddTemplates has added so far
}

// metaRecord is an encoded template record or option data record.
type metaRecord struct {
	set      uint16 // id of its set
	alone    bool   // it needs a set of its own
	template bool   // otherwise option data
	octets   []byte
}

func newTemplateSet(p Protocol, domain uint32, flows []template) templateSet {
	s := templateSet{options: options(p)}
	for i := range flows {
		octets := flows[i].append(nil)
		s.fixed = append(s.fixed,
			metaRecord{set: p.templateSetID(), template: true, octets: octets})
	}
	for i := range s.options {
		o := &s.options[i]
		s.fixed = append(s.fixed, metaRecord{
			set: p.optionsTemplateSetID(), template: true, octets: o.appendTemplate(nil, p),
			alone: true, // nfdump reads only the first options template of a set
		})
		if o.id != interfaceOption {
			s.fixed = append(s.fixed, o.record(&optionData{domain: domain}))
		}
	}
	s.statistics = s.fixed[len(s.fixed)-1].octets
	return s
}

// record encodes an option data record.
func (o *option) record(d *optionData) metaRecord {
	r := metaRecord{set: o.id, alone: o.alone, octets: make([]byte, o.size())}
	o.put(r.octets, d)
	return r
}

// option returns the option with an id.
func (s *templateSet) option(id uint16) *option { return &s.options[id-samplingOption] }

// SetInterfaces makes each AddTemplates describe these interfaces. Those that are new or have
// another name become pending.
func (e *Encoder) SetInterfaces(all []flow.Interface) {
	s := &e.templateSet
	sent := make(map[string]bool, len(s.interfaces))
	for i := range s.interfaces {
		sent[string(s.interfaces[i].octets)] = true
	}
	for i := range s.pending {
		delete(sent, string(s.pending[i].octets))
	}
	s.interfaces, s.pending = make([]metaRecord, len(all)), nil
	for i := range all {
		r := s.option(interfaceOption).record(&optionData{domain: e.domain, iface: all[i]})
		s.interfaces[i] = r
		if !sent[string(r.octets)] {
			s.pending = append(s.pending, r)
		}
	}
}

// HasPending reports whether AddPending has something to add.
func (e *Encoder) HasPending() bool { return len(e.templateSet.pending) > 0 }

// setStatistics sets what the next AddTemplates reports of the export itself.
func (e *Encoder) setStatistics(s statistics) {
	data := optionData{domain: e.domain, statistics: s}
	e.templateSet.option(statisticsOption).put(e.templateSet.statistics, &data)
}

// AddTemplates adds as many templates and option data records as the message has room for,
// and returns false if the rest needs another message. The message must be empty. now is the
// system time in ns since 1970.
func (e *Encoder) AddTemplates(now int64) (complete bool) {
	s := &e.templateSet
	e.begin(now, now)
	s.done += e.addMetaRecords(s.fixed[min(s.done, len(s.fixed)):])
	if s.done >= len(s.fixed) {
		s.done += e.addMetaRecords(s.interfaces[s.done-len(s.fixed):])
	}
	if s.done < len(s.fixed)+len(s.interfaces) {
		return false
	}
	s.done, s.pending = 0, nil
	e.closeSet()
	return true
}

// AddPending adds as many pending interfaces as the message has room for, and returns false if
// the rest needs another message. The collector must know the templates.
func (e *Encoder) AddPending(now int64) (complete bool) {
	e.begin(now, now)
	s := &e.templateSet
	s.pending = s.pending[e.addMetaRecords(s.pending):]
	e.closeSet()
	return len(s.pending) == 0
}

// addMetaRecords adds as many records as the message has room for, and returns their number.
func (e *Encoder) addMetaRecords(records []metaRecord) int {
	for i := range records {
		r := &records[i]
		if !e.Empty() && !e.hasRoom(r.set, len(r.octets), r.alone) {
			return i
		}
		e.addMetaRecord(r)
	}
	return len(records)
}

func (e *Encoder) addMetaRecord(r *metaRecord) {
	e.openSet(r.set, r.alone)
	e.message = append(e.message, r.octets...)
	if r.template {
		e.templateRecords++
	} else {
		e.records++
	}
}

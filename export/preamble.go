package export

import (
	"slices"

	"github.com/conntally/conntally/flow"
)

// preamble is what a collector needs before data: all templates, and option data. It
// is made in pieces that are each small enough for any message, and again only when
// interfaces change.
type preamble struct {
	options []option
	fixed   []piece // templates, and what there is one of
	links   []piece // the interfaces
	news    []piece // those of them that were not told yet
	totals  []byte  // the statistics, in one of the pieces
	told    int     // how many pieces the messages before have taken
}

// piece is a template record or an option data record.
type piece struct {
	set      uint16 // id of the set that it stands in
	alone    bool   // it takes a set of its own
	template bool   // else data
	octets   []byte
}

func newPreamble(p Protocol, domain uint32, flows []template) preamble {
	pre := preamble{options: options(p)}
	for i := range flows {
		pre.fixed = append(pre.fixed, piece{set: p.templateSet(), template: true, octets: flows[i].append(nil)})
	}
	for i := range pre.options {
		o := &pre.options[i]
		// nfdump reads only the first options template of a set.
		pre.fixed = append(pre.fixed, piece{set: p.optionsTemplateSet(), alone: true, template: true, octets: o.appendTemplate(nil, p)})
		if o.id != interfaceOption {
			pre.fixed = append(pre.fixed, o.piece(&optionData{domain: domain}))
		}
	}
	pre.totals = pre.fixed[len(pre.fixed)-1].octets
	return pre
}

// piece makes a data record.
func (o *option) piece(d *optionData) piece {
	p := piece{set: o.id, alone: o.alone, octets: make([]byte, o.size())}
	o.put(p.octets, d)
	return p
}

// option returns the kind of this id.
func (pre *preamble) option(id uint16) *option { return &pre.options[id-samplingOption] }

// SetInterfaces has all of these told in each preamble, and in the next message those
// that are new or have another name.
func (e *Encoder) SetInterfaces(all []flow.Interface) {
	pre := &e.preamble
	told := make(map[string]bool, len(pre.links))
	for i := range pre.links {
		told[string(pre.links[i].octets)] = true
	}
	for i := range pre.news {
		delete(told, string(pre.news[i].octets))
	}
	pre.links = make([]piece, len(all))
	for i := range all {
		pre.links[i] = pre.option(interfaceOption).piece(&optionData{domain: e.domain, link: all[i]})
	}
	pre.news = slices.DeleteFunc(slices.Clone(pre.links), func(p piece) bool { return told[string(p.octets)] })
}

// HasNews reports whether there is something for AddNews.
func (e *Encoder) HasNews() bool { return len(e.preamble.news) > 0 }

// setTotals has this told in the next preamble.
func (e *Encoder) setTotals(t totals) {
	e.preamble.option(statisticsOption).put(e.preamble.totals, &optionData{domain: e.domain, totals: t})
}

// AddPreamble adds templates and options as far as the message has room for them,
// and returns false where the rest is to follow in another message. They go first,
// so the message must be empty. now is the system time in ns since 1970.
func (e *Encoder) AddPreamble(now int64) (complete bool) {
	pre := &e.preamble
	e.begin(now)
	pre.told += e.add(pre.fixed[min(pre.told, len(pre.fixed)):])
	if pre.told >= len(pre.fixed) {
		pre.told += e.add(pre.links[pre.told-len(pre.fixed):])
	}
	if pre.told < len(pre.fixed)+len(pre.links) {
		return false
	}
	pre.told, pre.news = 0, nil
	e.finishSet()
	return true
}

// AddNews is AddPreamble for interfaces that are new since. It must not come first.
func (e *Encoder) AddNews(now int64) (complete bool) {
	e.begin(now)
	pre := &e.preamble
	pre.news = pre.news[e.add(pre.news):]
	e.finishSet()
	return len(pre.news) == 0
}

// add returns how many pieces it had room for.
func (e *Encoder) add(pieces []piece) int {
	for i := range pieces {
		p := &pieces[i]
		if !e.Empty() && !e.hasRoom(p.set, len(p.octets), p.alone) {
			return i
		}
		e.addPiece(p)
	}
	return len(pieces)
}

func (e *Encoder) addPiece(p *piece) {
	e.openSet(p.set, p.alone)
	e.message = append(e.message, p.octets...)
	if p.template {
		e.others++
	} else {
		e.records++
	}
}

// setHeaderLen is the length of a set's id and length.
const setHeaderLen = 4

// openSet begins a set and returns where it begins.
func openSet(b *[]byte, id uint16) int {
	at := len(*b)
	*b = be.AppendUint32(*b, uint32(id)<<16)
	return at
}

// closeSet pads the set that begins at to whole words and fills in its length.
func closeSet(b *[]byte, at int) {
	for len(*b)%4 != 0 {
		*b = append(*b, 0)
	}
	be.PutUint16((*b)[at+2:], uint16(len(*b)-at))
}

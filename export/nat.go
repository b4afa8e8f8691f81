package export

import (
	"slices"

	"github.com/conntally/conntally/flow"
)

// Indices in Encoder.templates of the templates for NAT events, after those for flows.
const (
	natKind4 = templateCount + iota
	natKind6
)

// natTemplate is the id of the first template for NAT events.
const natTemplate = 272

// natTemplates returns the templates for NAT events: a translation began or ended. Their records
// have no counters. They are not flow records with one more field, since pmacct takes a flow
// record with a natEvent for an event. The time is in them twice: nfdump, which reads the time of
// an event, would otherwise file it under 1970.
func natTemplates(p Protocol) []template {
	v4 := slices.Concat(eventFields(), addresses4(), endpoints(), translation4(), times(p))
	v6 := slices.Concat(eventFields(), addresses6(), endpoints(), translation6(), times(p))
	translations := []template{
		{id: natTemplate, fields: v4},
		{id: natTemplate + 1, fields: v6},
	}
	for i := range translations {
		translations[i].measure()
	}
	return translations
}

func eventFields() []field {
	return []field{
		{element{323, 8, "observationTimeMilliseconds"}, startMillis},
		{element{230, 1, "natEvent"}, natEvent},
	}
}

// natEventOf returns the value of natEvent (RFC 8158, section 4.3). It has none for sessions
// between IPv6 addresses, which get the older "translation".
func natEventOf(r *flow.Record) uint8 {
	const translationCreate, nat44SessionCreate = 1, 4
	event := uint8(nat44SessionCreate)
	if r.IsIPv6() {
		event = translationCreate
	}
	if r.NAT == flow.NATDelete {
		event++
	}
	return event
}

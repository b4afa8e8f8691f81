package export

import (
	"slices"

	"github.com/conntally/conntally/flow"
)

// Places of the templates for translations, behind those of flows.
const (
	natKind4 = templateCount + iota
	natKind6
)

// natTemplate is the id of the first of them.
const natTemplate = 272

// natTemplates describe that a translation began or ended. They count nothing, and
// stand apart from flows: pmacct takes a flow record with a natEvent for an event. The
// time stands there twice: nfdump, which knows the time of an event, would still file
// it under 1970.
func natTemplates(p Protocol) []template {
	translations := []template{
		{id: natTemplate, fields: slices.Concat(translationEvent(), addresses4(), endpoints(), translation4(), times(p))},
		{id: natTemplate + 1, fields: slices.Concat(translationEvent(), addresses6(), endpoints(), translation6(), times(p))},
	}
	for i := range translations {
		translations[i].measure()
	}
	return translations
}

func translationEvent() []field {
	return []field{
		{element{323, 8, "observationTimeMilliseconds"}, startMillis},
		{element{230, 1, "natEvent"}, natEvent},
	}
}

// natEventOf returns the value of RFC 8158, section 4.3, which knows of no sessions
// between IPv6 addresses: these have the older "translation".
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

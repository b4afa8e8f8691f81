package export

// samplingOption is the id of the options template that tells the sampling rate.
// Akvorado drops every flow of an exporter that doesn't tell it.
const samplingOption = 512

// optionsTemplate describes option data records: what is told, of which scope.
type optionsTemplate struct {
	id    uint16
	scope []element
	about []element
}

// sampling tells the sampling interval of the whole exporter. The element is the
// deprecated one, which all collectors read.
func sampling(p Protocol) optionsTemplate {
	return optionsTemplate{
		id:    samplingOption,
		scope: []element{exporterScope(p)},
		about: []element{{34, 4, "samplingInterval"}},
	}
}

// exporterScope is the exporter as a whole: NetFlow v9's scope "System", IPFIX's
// observation domain.
func exporterScope(p Protocol) element {
	if p == NetFlow9 {
		return element{1, 4, "System"}
	}
	return element{149, 4, "observationDomainId"}
}

// append adds the options template record: RFC 3954 section 6.1, with lengths in
// octets, RFC 7011 section 3.4.2.2, with counts of fields.
func (o *optionsTemplate) append(b []byte, p Protocol) []byte {
	b = be.AppendUint16(b, o.id)
	if p == NetFlow9 {
		b = be.AppendUint16(b, uint16(4*len(o.scope)))
		b = be.AppendUint16(b, uint16(4*len(o.about)))
	} else {
		b = be.AppendUint16(b, uint16(len(o.scope)+len(o.about)))
		b = be.AppendUint16(b, uint16(len(o.scope)))
	}
	for _, e := range o.scope {
		b = e.append(b)
	}
	for _, e := range o.about {
		b = e.append(b)
	}
	return b
}

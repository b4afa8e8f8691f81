package decode

import (
	"errors"
	"net/netip"
)

// Counters are a Decoder's totals over all sources, those no longer remembered included. They only
// grow.
type Counters struct {
	Datagrams     uint64 // given to Decode
	Refused       uint64 // datagrams with a fault other than an unknown template
	UnknownSets   uint64 // data sets whose template was not there
	Templates     uint64 // templates read, repetitions included
	Flows         uint64
	OptionRecords uint64

	MissedRecords   uint64 // gaps in the IPFIX sequence: data records
	MissedDatagrams uint64 // gaps in the NetFlow v9 sequence: datagrams
	LateDatagrams   uint64 // came after their successor, so that they had been counted as missed
	Evicted         uint64 // sources displaced by others
}

func (c *Counters) add(m Message, err error) {
	c.Datagrams++
	if err != nil && !errors.Is(err, ErrUnknownTemplate) {
		c.Refused++
	}
	c.UnknownSets += uint64(m.UnknownSets)
	c.Templates += uint64(m.Templates)
	c.Flows += uint64(len(m.Flows))
	c.OptionRecords += uint64(m.OptionRecords)
	if m.Version == versionIPFIX {
		c.MissedRecords += uint64(m.Missed)
	} else {
		c.MissedDatagrams += uint64(m.Missed)
	}
	if m.Late {
		c.LateDatagrams++
	}
}

// A Source is one observation domain of one exporter, with its totals since it was first
// remembered.
type Source struct {
	Exporter  netip.AddrPort // the UDP source
	Version   uint16         // 9 or 10 (IPFIX)
	Domain    uint32         // observation domain id; v9: source id
	Templates int            // known now

	Datagrams     uint64
	Flows         uint64
	MissedUnits   uint64 // IPFIX: data records; v9: datagrams
	LateDatagrams uint64
}

package report

import (
	"net/netip"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/conntally/print"
)

// Row is a row of a report. What doesn't belong to its kind is nil. All times are in the
// zone of the calendar.
type Row struct {
	Start *time.Time `json:"start,omitempty"` // of the period
	*Subject
	*Remote
	*Unit
	*Stream
	*Traffic
	*Local
	*Contacts
	*Received
}

// Subject is a device.
type Subject struct {
	Device string `json:"device"`
	Name   string `json:"name"`
}

// Label returns the name of a device, or its ID if it has none.
func (s *Subject) Label() string {
	if s.Name != "" {
		return s.Name
	}
	return s.Device
}

// Remote is the other end, or only its port.
type Remote struct {
	Address  *string `json:"remote,omitempty"` // "": those that were too small to be kept
	Protocol string  `json:"protocol"`
	Port     uint16  `json:"port"` // of the service
	Inbound  *bool   `json:"inbound,omitempty"`
	New      *bool   `json:"new,omitempty"`
}

// Unit is a unit of systemd.
type Unit struct {
	Service string `json:"service"`
}

// Stream is what an exporter sends.
type Stream struct {
	Exporter string `json:"exporter"`
	Version  uint16 `json:"version"`
	Domain   uint32 `json:"domain"`
}

// Traffic is what moved to and from the outside, or through a service.
type Traffic struct {
	UpBytes     uint64 `json:"up_bytes"`
	DownBytes   uint64 `json:"down_bytes"`
	UpPackets   uint64 `json:"up_packets"`
	DownPackets uint64 `json:"down_packets"`
}

// Local is what moved between devices.
type Local struct {
	UpBytes     uint64 `json:"lan_up_bytes"`
	DownBytes   uint64 `json:"lan_down_bytes"`
	UpPackets   uint64 `json:"lan_up_packets"`
	DownPackets uint64 `json:"lan_down_packets"`
}

// Contacts are the connections to a destination.
type Contacts struct {
	Connections  uint64     `json:"connections"`
	FirstSeen    *time.Time `json:"first_seen"`
	LastSeen     *time.Time `json:"last_seen"`
	MeanInterval *float64   `json:"mean_interval_seconds"` // nil for less than two connections
}

// Received is what came from an exporter, and what did not.
type Received struct {
	Datagrams        uint64 `json:"datagrams"`
	Records          uint64 `json:"records"`
	Bytes            uint64 `json:"bytes"`
	MissingRecords   uint64 `json:"missing_records"`
	MissingDatagrams uint64 `json:"missing_datagrams"`
	UnknownSets      uint64 `json:"unknown_sets"`
	Refused          uint64 `json:"malformed_datagrams"`
}

// DestinationRow returns the row of a destination.
func DestinationRow(d *store.DestinationRow, in *time.Location) *Row {
	start, text, inbound, fresh := d.Start.In(in), address(d.Remote), d.Inbound, d.New
	row := &Row{
		Start: &start,
		Remote: &Remote{Address: &text, Protocol: print.Protocol(d.Protocol), Port: d.Port,
			Inbound: &inbound, New: &fresh},
		Subject: &Subject{d.Device, d.Name},
		Traffic: traffic(d.WAN), Local: local(d.LAN),
		Contacts: contacts(&d.DestinationUsage, in),
	}
	if text == "" {
		row.Protocol = ""
	}
	return row
}

// ServiceRow returns the row of a unit.
func ServiceRow(s *store.ServiceRow, in *time.Location) *Row {
	start := s.Start.In(in)
	return &Row{Start: &start, Unit: &Unit{s.Unit}, Traffic: traffic(s.Counters)}
}

func traffic(c usage.Counters) *Traffic {
	t := Traffic(c)
	return &t
}

func local(c usage.Counters) *Local {
	l := Local(c)
	return &l
}

// usage returns what a row moved.
func (r *Row) usage() (u usage.Usage) {
	if r.Traffic != nil {
		u.WAN = usage.Counters(*r.Traffic)
	}
	if r.Local != nil {
		u.LAN = usage.Counters(*r.Local)
	}
	return u
}

// size is what rows are sorted by: bytes in both directions.
func (r *Row) size(s Scope) uint64 {
	if r.Received != nil {
		return r.Bytes
	}
	c := s.of(r.usage())
	return c.UpBytes + c.DownBytes
}

func contacts(u *usage.DestinationUsage, location *time.Location) *Contacts {
	c := &Contacts{Connections: max(u.UpContacts, u.DownContacts)}
	if !u.First.IsZero() {
		first, last := u.First.In(location), u.Last.In(location)
		c.FirstSeen, c.LastSeen = &first, &last
		if c.Connections > 1 {
			mean := last.Sub(first).Seconds() / float64(c.Connections-1)
			c.MeanInterval = &mean
		}
	}
	return c
}

// address returns the text of an address; "" for none.
func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

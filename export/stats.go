package export

import "sync/atomic"

// CollectorStats counts what goes to one collector. Any goroutine may read it.
type CollectorStats struct {
	Messages    atomic.Uint64 // datagrams sent
	Records     atomic.Uint64 // data records in them, option data included
	Octets      atomic.Uint64 // their UDP payload
	Refused     atomic.Uint64 // datagrams that came back (ICMP): nobody listens, a firewall rejects, or the host doesn't answer
	SendErrors  atomic.Uint64 // datagrams that could not be sent
	Dropped     atomic.Uint64 // records lost with them or with refused ones, or for want of a socket
	Flows       atomic.Uint64 // flow records among Records
	LostFlows   atomic.Uint64 // flow records among Unsent
	LostPackets atomic.Uint64 // what those counted
	LostOctets  atomic.Uint64
	DialErrors  atomic.Uint64 // failures to resolve the name or open a socket
	TooLarge    atomic.Uint64 // datagrams that a link on the way refused, sent again in fragments
	Limit       atomic.Uint64 // octets of UDP payload that datagrams may have now
}

// lose counts flow records that are not sent.
func (s *CollectorStats) lose(lost *sum) {
	s.LostFlows.Add(lost.flows)
	s.LostPackets.Add(lost.packets)
	s.LostOctets.Add(lost.octets)
}

func (s *CollectorStats) totals() totals {
	return totals{
		octets: s.Octets.Load(), messages: s.Messages.Load(), flows: s.Flows.Load(),
		lost: sum{s.LostFlows.Load(), s.LostPackets.Load(), s.LostOctets.Load()},
	}
}

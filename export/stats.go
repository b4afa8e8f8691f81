package export

import "sync/atomic"

// CollectorStats counts what goes to one collector. Any goroutine may read it.
type CollectorStats struct {
	Messages    atomic.Uint64 // datagrams sent
	Records     atomic.Uint64 // data records in them, option data included
	Octets      atomic.Uint64 // their UDP payload
	Refused     atomic.Uint64 // datagrams that ICMP reported undelivered
	SendErrors  atomic.Uint64 // datagrams that could not be sent
	Dropped     atomic.Uint64 // records in unsent or refused datagrams, or without a socket
	Flows       atomic.Uint64 // flow records among Records
	LostFlows   atomic.Uint64 // flow records among Dropped
	LostPackets atomic.Uint64 // counted by those flow records
	LostOctets  atomic.Uint64
	DialErrors  atomic.Uint64 // failures to resolve the name or open a socket
	TooLarge    atomic.Uint64 // datagrams larger than the path MTU, sent again in fragments
	Limit       atomic.Uint64 // current limit of a datagram's UDP payload, octets
}

// drop counts records that don't reach the collector, flows of which are flow records.
func (s *CollectorStats) drop(records int, flows *flowTotals) {
	s.Dropped.Add(uint64(records))
	s.LostFlows.Add(flows.flows)
	s.LostPackets.Add(flows.packets)
	s.LostOctets.Add(flows.octets)
}

func (s *CollectorStats) statistics() statistics {
	return statistics{
		octets: s.Octets.Load(), messages: s.Messages.Load(), flows: s.Flows.Load(),
		dropped: flowTotals{s.LostFlows.Load(), s.LostPackets.Load(), s.LostOctets.Load()},
	}
}

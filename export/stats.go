package export

import "sync/atomic"

// CollectorStats counts what goes to one collector. Any goroutine may read it.
type CollectorStats struct {
	Messages   atomic.Uint64 // datagrams sent
	Records    atomic.Uint64 // data records in them, option data included
	Octets     atomic.Uint64 // their UDP payload
	Refused    atomic.Uint64 // ICMP port unreachable answers
	SendErrors atomic.Uint64 // datagrams that could not be sent
	Unsent     atomic.Uint64 // records lost with them, or for want of a socket
	DialErrors atomic.Uint64 // failures to resolve the name or open a socket
}

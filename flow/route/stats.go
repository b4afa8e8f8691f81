package route

import "sync/atomic"

// Stats counts what a Resolver does. Any goroutine may read it.
type Stats struct {
	Lookups     atomic.Uint64 // routes that the kernel was asked for
	Hits        atomic.Uint64 // answers from the cache
	Unreachable atomic.Uint64 // look-ups without an answer
	Changes     atomic.Uint64 // of links, addresses, rules or routes: all answers were forgotten
	Overruns    atomic.Uint64 // times that notifications were lost and everything was read again
	Reopened    atomic.Uint64 // sockets that broke and were opened again
	Failures    atomic.Uint64 // readings that failed and were tried again
	Malformed   atomic.Uint64 // messages of the kernel that made no sense
}

package ctnetlink

import "sync/atomic"

// Stats counts what a Reader reads and loses. Any goroutine may read it.
type Stats struct {
	Entries  atomic.Uint64 // living entries read
	Destroys atomic.Uint64 // DESTROY events read
	// Of ends by eBPF, those whose first packet was seen, and the others.
	FirstPackets, FirstUnknown atomic.Uint64

	Dumps     atomic.Uint64 // complete dumps
	Walks     atomic.Uint64 // those of them for which the kernel walked its table
	Malformed atomic.Uint64 // messages that could not be decoded
	Overruns  atomic.Uint64 // times that the event socket returned ENOBUFS
	Drops     atomic.Uint64 // DESTROY events that the kernel dropped, as the buffer was full
	Repeated  atomic.Uint64 // the same with reliable delivery: the kernel repeats them
	Stalls    atomic.Uint64 // times that Watchdog ended reliable delivery
}

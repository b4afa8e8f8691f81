package ctnetlink

import "sync/atomic"

// Stats counts what a Reader reads and loses. Any goroutine may read it.
type Stats struct {
	Entries   atomic.Uint64 // living entries read
	Destroys  atomic.Uint64 // DESTROY events read
	Dumps     atomic.Uint64 // complete dumps
	Walks     atomic.Uint64 // those of them for which the kernel walked its table
	Malformed atomic.Uint64 // messages that could not be decoded
	Overruns  atomic.Uint64 // times that the event socket returned ENOBUFS
	Drops     atomic.Uint64 // DESTROY events that the kernel dropped, as the buffer was full
	Repeated  atomic.Uint64 // the same with reliable delivery: the kernel repeats them
	Stalls    atomic.Uint64 // times that Watchdog ended reliable delivery
}

package conntrack

import (
	"errors"
	"time"
)

// ErrPartial means that a Dump may have missed entries, or shown some twice.
var ErrPartial = errors.New("the kernel resized its table during a dump")

// Source reports the connections of one network namespace. Only one goroutine may call its
// methods, except Interrupt. An Event is valid only inside fn.
type Source interface {
	// Wait waits for at most d until a connection ends, then calls fn with each connection
	// that has ended so far.
	Wait(d time.Duration, fn func(*Event)) error
	// Dump calls fn with every living connection, and with those that end
	// during the dump. After an error, which may be ErrPartial, the events shown are still
	// correct, but a connection that was not shown may live.
	Dump(fn func(*Event)) error
	// Interrupt makes the current Wait, or else the next one, return at once. Any
	// goroutine may call it.
	Interrupt()
}

package conntrack

import (
	"errors"
	"time"
)

// ErrPartial says that a Dump missed entries, or showed some twice, without a sign.
var ErrPartial = errors.New("the kernel resized its table during a dump")

// Source tells of one network namespace's connections. Its methods belong to one
// goroutine, but for Interrupt. An Event is valid only inside fn.
type Source interface {
	// Wait waits for at most d until a connection ends, then calls fn with each that
	// has ended by then.
	Wait(d time.Duration, fn func(*Event)) error
	// Dump calls fn with every living connection, and in between with those that end
	// meanwhile. After an error, which may be ErrPartial, what was shown is right all the
	// same, and what was not shown says nothing.
	Dump(fn func(*Event)) error
	// Interrupt makes a Wait under way, or else the next one, return at once. Any
	// goroutine may call it.
	Interrupt()
}

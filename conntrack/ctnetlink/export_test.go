package ctnetlink

import (
	"github.com/conntally/conntally/conntrack"
)

// CachingDecoder returns a function that decodes like Decode and remembers shapes.
func CachingDecoder() func(b []byte, e *conntrack.Event) error { return new(decoder).decode }

// CloseEvents closes a Reader's event socket under it.
func CloseEvents(r *Reader) error { return r.events.Close() }

package conntrack

// Remembering returns a function that decodes like Event.Decode and remembers layouts.
func Remembering() func(b []byte, e *Event) error { return new(decoder).decode }

// CloseEvents closes a Reader's event socket under it.
func CloseEvents(r *Reader) error { return r.events.Close() }

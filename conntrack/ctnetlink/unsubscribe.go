package ctnetlink

// Unsubscribe closes the event socket: another source reports the ends of connections from now on,
// and the kernel makes no more events for this one. What is queued is lost. Reopen subscribes again.
func (r *Reader) Unsubscribe() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.events
	r.events, r.drops = noEvents{}, 0
	return old.Close()
}

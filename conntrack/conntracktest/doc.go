// Package conntracktest is a kernel for tests: it tracks what it is told to and
// speaks ctnetlink in bytes.
//
//	k := conntracktest.New()
//	r := k.Reader() // a ctnetlink.Reader on it
//	key := k.Create(conntrack.Event{Orig: ..., Reply: ...})
//	k.Count(key, conntrack.Original, 10, 1500)
//	k.Advance(time.Minute)
//	k.Destroy(key)
//
// Messages have the attributes, order and flags of Linux 6.18. Time moves only by
// Advance and by a Recv that waits, so a test never sleeps. A Kernel is safe for
// concurrent use; a verb on a key that it doesn't know panics.
package conntracktest

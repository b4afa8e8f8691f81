// Package conntracktest is a fake kernel for tests: it holds the entries that a test
// creates and sends ctnetlink messages in bytes.
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

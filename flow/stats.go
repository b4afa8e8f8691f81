package flow

import "sync/atomic"

// Stats counts what a Table does. Any goroutine may read it.
type Stats struct {
	Flows          atomic.Int64  // entries in the table
	Records        atomic.Uint64 // records exported
	Preexisting    atomic.Uint64 // entries older than the table, of which only what moves from then on counts
	Restored       atomic.Uint64 // entries that an earlier life of the program has exported in part
	Excluded       atomic.Uint64 // ends of entries left out: loopback, own export, older than the table and never met
	Uncounted      atomic.Uint64 // sightings of entries without counters (older than nf_conntrack_acct=1)
	Duplicates     atomic.Uint64 // ends reported twice
	StaleEntries   atomic.Uint64 // dump entries whose end was already known
	CounterResets  atomic.Uint64 // counters that went down: zeroed by another program, or a new connection
	Zeroed         atomic.Uint64 // those of them that another program has zeroed: the connection is the same
	MissedDestroys atomic.Uint64 // entries that went without a DESTROY event
	MissedNew      atomic.Uint64 // those among them that began after the table
	TableFull      atomic.Uint64 // sightings of entries that the table had no room for
}

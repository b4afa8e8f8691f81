// Package flow turns conntrack entries into flow records.
//
//	conntrack.Event -> Table -> Pair -> Sink
//
// The kernel's counters are cumulative; a Table remembers the last reading of each
// entry and exports differences, per direction, when a flow has been active for
// long, is idle, or ends. It is driven by a single goroutine and never reads a
// clock: events carry their own time.
//
// A connection's way through the package, by file:
//
//	table.go       Apply takes an event
//	admission.go   whether an entry becomes a flow, and what it has exported already
//	lifetime.go    what each dump and the DESTROY do to a flow, and when it expires
//	ending.go      when and why a connection ended
//	export.go      the pair of records, by the chosen view of NAT
//	checkpoint.go  how much is exported, for the next run
package flow

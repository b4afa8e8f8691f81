// Package flow turns conntrack entries into flow records.
//
//	conntrack.Event -> Table -> Pair -> Sink
//
// The kernel's counters are cumulative; a Table keeps what it last saw of each
// entry and exports differences, per direction, when a flow has been active for
// long, is idle, or ends. It is driven by a single goroutine and never reads a
// clock: events bring their own time.
package flow

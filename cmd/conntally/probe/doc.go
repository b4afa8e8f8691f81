// Package probe is the daemon: it reads one network namespace's connections, counts what
// they move and hands it to sinks, until it is told to stop.
//
//	source:  ctnetlink.Reader ─> flow.Table ─> sinks: export.Exporter, print.Sink
//	tasks:   loop (all of the above) | reloader | neighbours | metrics
//
// One goroutine, the loop, owns reader, table and sinks, and never blocks: each turn reads
// what has ended, dumps when the pacer says so, and lets the sinks send. One commit step
// writes the state file first and then has every sink hand on. All other tasks prepare
// work for the loop, or read counters. The probe is ready, and says so to the service
// manager, once its sockets are open, a dump was read and the templates were sent.
//
//	open.go           what is opened, and how it is wired
//	probe.go          the loop
//	pacer.go          when to dump, and how fast
//	conditions.go     what can be wrong
//	checkpoint.go     the state file
//	reload.go         another configuration while running
//	summary.go        the line of each minute
package probe

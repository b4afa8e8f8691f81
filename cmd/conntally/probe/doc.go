// Package probe is the daemon: it reads the connections of one network namespace, counts
// their packets and bytes and exports them to sinks until its context is done.
//
//	source:  bpf.Source ─> flow.Table ─> sinks: export.Exporter, print.Sink
//	                                  └> meter: account.Accounts
//	tasks:   loop (all of the above) | reloader | neighbours | names | metrics | control socket
//
// One goroutine, the loop, owns reader, table and sinks. Each turn reads DESTROY events,
// dumps when the pacer has a dump due, and lets the sinks send. A commit writes the state
// file first, then flushes every sink. All other tasks prepare work for the loop, read
// counters, or ask the loop a question, which it answers between two dumps. The probe reports
// that it is ready once its sockets are open, a dump was read and the templates were sent.
//
//	open.go           opens and wires reader, table and sinks
//	probe.go          the loop
//	pacer.go          when to dump, and how fast
//	conditions.go     derives conditions from counters, dumps and settings
//	checkpoint.go     the state file
//	devicesfile.go    the file of devices
//	questions.go      what other tasks ask the loop
//	answers.go        the control socket's answers; usage.go: the metrics of devices
//	reload.go         changes the configuration while running
//	summary.go        the log line of each minute
package probe

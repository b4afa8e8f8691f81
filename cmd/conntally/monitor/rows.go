package monitor

import (
	"math"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
)

// row is a metric and how it is read. Its name says what kind it is: telemetry.Kind. A value of NaN
// is unknown: the metric is left out.
type row struct {
	name  string
	value func() float64
	help  string
}

func count(v *atomic.Uint64) func() float64 { return func() float64 { return float64(v.Load()) } }
func gauge(v *atomic.Int64) func() float64  { return func() float64 { return float64(v.Load()) } }

// seconds reads a duration stored in nanoseconds.
func seconds(v *atomic.Int64) func() float64 {
	return func() float64 { return time.Duration(v.Load()).Seconds() }
}

// buildRows have the labels version and goversion.
func buildRows() []row {
	return []row{{
		"conntally_build_info", func() float64 { return 1 },
		"The version, as labels `version` and `goversion`; always 1.",
	}}
}

// sourceRows have the labels source, step and dumps.
func sourceRows() []row {
	return []row{{
		"conntally_conntrack_source_info", func() float64 { return 1 },
		"How ends of connections are read: `netlink`, or `bpf` and how it is attached, as labels " +
			"`source` and `step`; how living ones are, as label `dumps`; always 1.",
	}}
}

// conditionRows have the label condition.
func conditionRows(holds bool) []row {
	return []row{{
		"conntally_condition", func() float64 { return map[bool]float64{true: 1}[holds] },
		"1 while the condition of docs/check.md in the label `condition` holds, else 0.",
	}}
}

// kernelRows describe the kernel's conntrack table.
func (s *Sources) kernelRows() []row {
	sysctl := func(name string) func() float64 {
		return func() float64 {
			n, err := s.Sysctl(name)
			if err != nil {
				return math.NaN()
			}
			return float64(n)
		}
	}
	return []row{
		{"conntally_conntrack_entries", sysctl("count"),
			"Connections in the kernel's table (nf_conntrack_count)."},
		{"conntally_conntrack_entries_limit", sysctl("max"),
			"Connections that the kernel's table may have (nf_conntrack_max)."},
	}
}

// statisticsRows describe the statistics that the kernel itself keeps.
func statisticsRows(k *kernel.Statistics) []row {
	of := func(n uint64) func() float64 { return func() float64 { return float64(n) } }
	return []row{
		{"conntally_kernel_drop_total", of(k.Drop),
			"Packets dropped: no room for their connection in the kernel's table, or a helper " +
				"rejected them."},
		{"conntally_kernel_early_drop_total", of(k.EarlyDrop),
			"Connections that the kernel evicted to make room for others."},
		{"conntally_kernel_insert_failed_total", of(k.InsertFailed),
			"Packets dropped because another packet had created the same connection first."},
		{"conntally_kernel_invalid_total", of(k.Invalid),
			"Packets that could not be tracked."},
		{"conntally_kernel_error_total", of(k.Error),
			"Packets that failed a protocol's check."},
		{"conntally_kernel_search_restart_total", of(k.SearchRestart),
			"Lookups restarted because the kernel resized its table meanwhile."},
	}
}

func (s *Sources) conntrackRows() []row {
	c, p := s.Conntrack, s.Probe
	return []row{
		{"conntally_conntrack_destroys_total", count(&c.Destroys),
			"Ends of connections read: DESTROY events, or records of eBPF."},
		{"conntally_conntrack_first_packets_total", count(&c.FirstPackets),
			"Ends read by eBPF of connections whose first packet was seen: their records have its " +
				"interfaces."},
		{"conntally_conntrack_first_packets_unknown_total", count(&c.FirstUnknown),
			"Ends read by eBPF of the others, such as those that began before the program was " +
				"loaded: their records have the interfaces of routes."},
		{"conntally_conntrack_dropped_events_total", count(&c.Drops),
			"DESTROY events lost because the receive buffer, or eBPF's ring, was full."},
		{"conntally_conntrack_repeated_events_total", count(&c.Repeated),
			"DESTROY events that found the receive buffer full and will be repeated: reliable " +
				"delivery."},
		{"conntally_conntrack_stalls_total", count(&c.Stalls),
			"Times reliable delivery was ended because reading stalled."},
		{"conntally_conntrack_overruns_total", count(&c.Overruns),
			"Times the kernel reported that it had dropped events (ENOBUFS)."},
		{"conntally_conntrack_reopened_total", count(&p.Reopened),
			"Times the event socket was opened again after an error."},
		{"conntally_conntrack_receive_buffer_bytes", gauge(&p.ReceiveBuffer),
			"Receive buffer of the event socket in force; the kernel reports twice what was set."},
		{"conntally_conntrack_malformed_total", count(&c.Malformed),
			"Kernel messages that could not be decoded."},
		{"conntally_conntrack_poll_interval_seconds", seconds(&p.Interval),
			"Time between two dumps in force: stretched if dumps would take more CPU time than " +
				"max_cpu."},
		{"conntally_conntrack_dumps_total", count(&c.Dumps),
			"Complete dumps."},
		{"conntally_conntrack_walks_total", count(&c.Walks),
			"Dumps for which the kernel walked its table. For the others it looked single " +
				"connections up."},
		{"conntally_conntrack_failed_dumps_total", count(&p.FailedDumps),
			"Dumps that failed."},
		{"conntally_conntrack_discarded_dumps_total", count(&p.DiscardedDumps),
			"Dumps that may be incomplete because the kernel resized its table."},
		{"conntally_conntrack_dump_entries_total", count(&c.Entries),
			"Connections read from dumps."},
		{"conntally_conntrack_dump_seconds_total", seconds(&p.DumpTime),
			"Time that dumps took, pauses included."},
		{"conntally_conntrack_dump_cpu_seconds_total", seconds(&p.DumpCPU),
			"CPU time that dumps took, user and system, without other work done at the same time."},
		{"conntally_conntrack_last_dump_age_seconds", s.dumpAge,
			"Time since the last complete dump, or since the start if there was none."},
	}
}

func (s *Sources) dumpAge() float64 {
	last := max(s.Probe.Dumped.Load(), s.Began)
	return time.Duration(s.Clock().Mono - last).Seconds()
}

func (s *Sources) flowRows() []row {
	f := s.Flow
	return []row{
		{"conntally_flows", gauge(&f.Flows),
			"Connections in the flow table."},
		{"conntally_records_total", count(&f.Records),
			"Flow records exported."},
		{"conntally_flows_baselined_total", count(&f.Preexisting),
			"Connections older than the probe: only what they move after its start is counted."},
		{"conntally_flows_restored_total", count(&f.Restored),
			"Connections restored from the state file: a previous run has exported a part of " +
				"them."},
		{"conntally_flows_ignored_total", count(&f.Excluded),
			"Ended connections left out: excluded by a filter, loopback, or the export's own."},
		{"conntally_flows_uncounted_total", count(&f.Uncounted),
			"Times a connection without counters was seen: it is older than nf_conntrack_acct=1."},
		{"conntally_flows_duplicate_total", count(&f.Duplicates),
			"DESTROY events that the kernel reported twice."},
		{"conntally_flows_stale_total", count(&f.StaleEntries),
			"Dump entries of connections that had already ended."},
		{"conntally_flows_rewound_total", count(&f.CounterResets),
			"Connections whose counters decreased."},
		{"conntally_flows_zeroed_total", count(&f.Zeroed),
			"Those of them whose counters another program has set to zero: the connection is the " +
				"same."},
		{"conntally_flows_vanished_total", count(&f.MissedDestroys),
			"Connections that ended without a DESTROY event."},
		{"conntally_flows_unreported_total", count(&f.MissedNew),
			"Those of them that began after conntally."},
		{"conntally_flows_late_total", count(&f.LateEnds),
			"Ends that came late, of connections that may have been exported when they disappeared: " +
				"not exported."},
		{"conntally_flows_full_total", count(&f.TableFull),
			"Times a connection found no room in the flow table."},
	}
}

func (s *Sources) probeRows() []row {
	p := s.Probe
	return []row{
		{"conntally_state_errors_total", count(&p.StateErrors),
			"Failed writes of the state file: after a restart, counts may be wrong."},
		{"conntally_config_reloads_total", count(&p.Reloads),
			"Reloads of the configuration, rejected ones included."},
		{"conntally_http_panics_total", count(&s.Server.Stats.Panics),
			"Panics while serving metrics or health: bugs, none is expected."},
		{"conntally_config_refused", count(&p.Refused),
			"1 if the last reload was rejected and the old configuration is in force, else 0."},
	}
}

func (s *Sources) routeRows() []row {
	l := s.Routes
	return []row{
		{"conntally_route_lookups_total", count(&l.Lookups),
			"Routes looked up in the kernel."},
		{"conntally_route_hits_total", count(&l.Hits),
			"Routes found in the cache."},
		{"conntally_route_unreachable_total", count(&l.Unreachable),
			"Lookups that found no route."},
		{"conntally_link_changes_total", count(&l.Changes),
			"Changes of interfaces, addresses, rules or routes, which clear the cache of routes."},
		{"conntally_link_overruns_total", count(&l.Overruns),
			"Times the kernel dropped notifications of such changes: everything was read again."},
		{"conntally_link_reopened_total", count(&l.Reopened),
			"Times a socket for such notifications or for reading was opened again after an " +
				"error."},
		{"conntally_link_failures_total", count(&l.Failures),
			"Failed reads of interfaces or routes, which were tried again."},
		{"conntally_link_malformed_total", count(&l.Malformed),
			"Kernel messages about interfaces or routes that could not be decoded."},
	}
}

// neighbourRows describe what the extra field mac needs; nil without it.
func (s *Sources) neighbourRows() []row {
	n := s.Neighbours
	if n == nil {
		return nil
	}
	return []row{
		{"conntally_neighbours", gauge(&n.Known),
			"Hosts whose MAC address is known, including those that left in the last hour."},
		{"conntally_neighbour_failures_total", count(&n.Failures),
			"Failed reads of the neighbour tables, which are tried again."},
	}
}

// printRows describe the printing of flows; nil without it.
func (s *Sources) printRows() []row {
	p := s.Print
	if p == nil {
		return nil
	}
	return []row{
		{"conntally_print_records_total", count(&p.Printed),
			"Flow records printed."},
		{"conntally_print_missed_records_total", count(&p.Missed),
			"Flow records not printed: the reader of the standard output was too slow, or " +
				"writing failed."},
		{"conntally_print_errors_total", count(&p.Errors),
			"Failed writes to the standard output."},
	}
}

// collectorRows describe a collector. They have the labels collector and protocol.
func collectorRows(c *export.CollectorStats) []row {
	return []row{
		{"conntally_export_datagrams_total", count(&c.Messages),
			"Datagrams sent."},
		{"conntally_export_records_total", count(&c.Records),
			"Data records sent, option data included."},
		{"conntally_export_bytes_total", count(&c.Octets),
			"Bytes of UDP payload sent."},
		{"conntally_export_refused_total", count(&c.Refused),
			"Datagrams that an ICMP error answered: the port is closed, a firewall rejects, or " +
				"the host can't be reached."},
		{"conntally_export_errors_total", count(&c.SendErrors),
			"Datagrams that could not be sent."},
		{"conntally_export_unsent_records_total", count(&c.Dropped),
			"Records dropped because they could not be sent, or an ICMP error answered."},
		{"conntally_export_flow_records_total", count(&c.Flows),
			"Flow records among the data records sent."},
		{"conntally_export_lost_flow_records_total", count(&c.LostFlows),
			"Flow records among those dropped."},
		{"conntally_export_lost_packets_total", count(&c.LostPackets),
			"Packets counted by the dropped flow records."},
		{"conntally_export_lost_bytes_total", count(&c.LostOctets),
			"Bytes counted by the dropped flow records."},
		{"conntally_export_dial_errors_total", count(&c.DialErrors),
			"Failures to resolve the collector's name or open a socket."},
		{"conntally_export_oversize_total", count(&c.TooLarge),
			"Datagrams larger than the path MTU, sent again in fragments."},
		{"conntally_export_datagram_limit_bytes", count(&c.Limit),
			"Largest UDP payload of a datagram, as the path MTU allows."},
	}
}

// goRows describe the Go runtime, under the usual names. The library's own Go collector
// has twenty more, which are of no use on a router.
func goRows() []row {
	sample := func(name string) func() float64 {
		return func() float64 {
			s := []metrics.Sample{{Name: name}}
			metrics.Read(s)
			return float64(s[0].Value.Uint64())
		}
	}
	return []row{
		{"go_goroutines", sample("/sched/goroutines:goroutines"),
			"Goroutines."},
		{"go_memstats_heap_alloc_bytes", sample("/memory/classes/heap/objects:bytes"),
			"Bytes of heap objects, including those not yet collected."},
		{"go_gc_cycles_total", sample("/gc/cycles/total:gc-cycles"),
			"Garbage collections."},
	}
}

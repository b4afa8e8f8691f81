package monitor

import (
	"math"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
)

// row is a metric and how it is read. A name that ends in _total is a counter, any other
// a gauge. A value that is not known is NaN, and left out.
type row struct {
	name, help string
	value      func() float64
}

func (r *row) kind() prometheus.ValueType {
	if strings.HasSuffix(r.name, "_total") {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}

func count(v *atomic.Uint64) func() float64 { return func() float64 { return float64(v.Load()) } }
func gauge(v *atomic.Int64) func() float64  { return func() float64 { return float64(v.Load()) } }

// seconds reads a duration kept in nanoseconds.
func seconds(v *atomic.Int64) func() float64 {
	return func() float64 { return time.Duration(v.Load()).Seconds() }
}

// buildRows have labels.
func buildRows() []row {
	return []row{{
		"conntally_build_info", "The version, as labels `version` and `goversion`; always 1.",
		func() float64 { return 1 },
	}}
}

// conditionRows have a label.
func conditionRows(holds bool) []row {
	return []row{{
		"conntally_condition", "1 while a condition of docs/check.md holds, else 0; by the label `condition`.",
		func() float64 { return map[bool]float64{true: 1}[holds] },
	}}
}

// kernelRows are of the kernel's table.
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
		{"conntally_conntrack_entries", "Connections in the kernel's table (nf_conntrack_count).", sysctl("count")},
		{"conntally_conntrack_entries_limit", "Connections that the kernel's table may have (nf_conntrack_max).", sysctl("max")},
	}
}

// statisticsRows are what the kernel itself counts.
func statisticsRows(k *kernel.Statistics) []row {
	of := func(n uint64) func() float64 { return func() float64 { return float64(n) } }
	return []row{
		{"conntally_kernel_drop_total", "Packets dropped: the kernel's table had no room for their connection, or a helper refused them.", of(k.Drop)},
		{"conntally_kernel_early_drop_total", "Connections that the kernel forgot to make room for others.", of(k.EarlyDrop)},
		{"conntally_kernel_insert_failed_total", "Packets dropped: another packet of the same connection was first.", of(k.InsertFailed)},
		{"conntally_kernel_invalid_total", "Packets that could not be tracked.", of(k.Invalid)},
		{"conntally_kernel_error_total", "Packets that a protocol's check refused.", of(k.Error)},
		{"conntally_kernel_search_restart_total", "Lookups begun again: the kernel resized its table meanwhile.", of(k.SearchRestart)},
	}
}

func (s *Sources) conntrackRows() []row {
	c, p := s.Conntrack, s.Probe
	return []row{
		{"conntally_conntrack_destroys_total", "Connection ends read.", count(&c.Destroys)},
		{"conntally_conntrack_dropped_events_total", "Connection ends lost because the receive buffer was full.", count(&c.Drops)},
		{"conntally_conntrack_repeated_events_total", "Times that the end of a connection found the receive buffer full and is to be repeated: reliable delivery.", count(&c.Repeated)},
		{"conntally_conntrack_stalls_total", "Times that reliable delivery was ended because reading stalled.", count(&c.Stalls)},
		{"conntally_conntrack_overruns_total", "Times that the kernel said it had dropped events.", count(&c.Overruns)},
		{"conntally_conntrack_reopened_total", "Event sockets that had to be opened again.", count(&p.Reopened)},
		{"conntally_conntrack_receive_buffer_bytes", "The event socket's buffer in force; the kernel reports twice what was set.", gauge(&p.ReceiveBuffer)},
		{"conntally_conntrack_malformed_total", "Kernel messages that could not be decoded.", count(&c.Malformed)},
		{"conntally_conntrack_poll_interval_seconds", "Time between two dumps in force: stretched if they would take more CPU than max_cpu.", seconds(&p.Interval)},
		{"conntally_conntrack_dumps_total", "Complete dumps.", count(&c.Dumps)},
		{"conntally_conntrack_failed_dumps_total", "Dumps that failed.", count(&p.FailedDumps)},
		{"conntally_conntrack_discarded_dumps_total", "Dumps that say nothing of what they didn't show: the kernel resized its table.", count(&p.DiscardedDumps)},
		{"conntally_conntrack_dump_entries_total", "Live connections read from dumps.", count(&c.Entries)},
		{"conntally_conntrack_dump_seconds_total", "Time that dumps took, pauses included.", seconds(&p.DumpTime)},
		{"conntally_conntrack_dump_cpu_seconds_total", "CPU that dumps took, user and system: not that of anything done beside them.", seconds(&p.DumpCPU)},
		{"conntally_conntrack_last_dump_age_seconds", "Since the last whole dump, or since the start where there was none.", s.dumpAge},
	}
}

func (s *Sources) dumpAge() float64 {
	last := max(s.Probe.Dumped.Load(), s.Began)
	return time.Duration(s.Clock().Mono - last).Seconds()
}

func (s *Sources) flowRows() []row {
	f := s.Flow
	return []row{
		{"conntally_flows", "Connections in the flow table.", gauge(&f.Flows)},
		{"conntally_records_total", "Flow records made.", count(&f.Records)},
		{"conntally_flows_baselined_total", "Connections older than the probe, of which only what moves since counts.", count(&f.Preexisting)},
		{"conntally_flows_restored_total", "Connections that an earlier run has exported in part.", count(&f.Restored)},
		{"conntally_flows_ignored_total", "Connection ends that are left out.", count(&f.Excluded)},
		{"conntally_flows_uncounted_total", "Sightings of connections without counters, older than nf_conntrack_acct=1.", count(&f.Uncounted)},
		{"conntally_flows_duplicate_total", "Ends that the kernel reported twice.", count(&f.Duplicates)},
		{"conntally_flows_stale_total", "Connections in a dump whose end was known already.", count(&f.StaleEntries)},
		{"conntally_flows_rewound_total", "Counters that went down.", count(&f.CounterResets)},
		{"conntally_flows_zeroed_total", "Those among them that another program has set to zero: the connection is the same.", count(&f.Zeroed)},
		{"conntally_flows_vanished_total", "Connections that went without an event.", count(&f.MissedDestroys)},
		{"conntally_flows_unreported_total", "Those among them that began after conntally.", count(&f.MissedNew)},
		{"conntally_flows_full_total", "Sightings of connections that the table had no room for.", count(&f.TableFull)},
	}
}

func (s *Sources) probeRows() []row {
	p := s.Probe
	return []row{
		{"conntally_state_errors_total", "Writes of the state file that failed: a restart would not be exact.", count(&p.StateErrors)},
		{"conntally_config_reloads_total", "Times that the configuration was read again.", count(&p.Reloads)},
		{"conntally_http_panics_total", "Faults of this program while it served metrics or health: none is expected.", count(&s.Server.Stats.Panics)},
		{"conntally_config_refused", "1 if the last reload was refused and the old configuration is in force, else 0.", count(&p.Refused)},
	}
}

func (s *Sources) routeRows() []row {
	l := s.Routes
	return []row{
		{"conntally_route_lookups_total", "Routes that the kernel was asked for.", count(&l.Lookups)},
		{"conntally_route_hits_total", "Routes that were known already.", count(&l.Hits)},
		{"conntally_route_unreachable_total", "Lookups that found no route.", count(&l.Unreachable)},
		{"conntally_link_changes_total", "Changes of interfaces, addresses, rules or routes: known routes were forgotten.", count(&l.Changes)},
		{"conntally_link_overruns_total", "Times that the kernel had to drop notifications of such changes: all was read anew.", count(&l.Overruns)},
		{"conntally_link_reopened_total", "Sockets for such notifications or for reading that broke and were opened again.", count(&l.Reopened)},
		{"conntally_link_failures_total", "Readings of interfaces or routes that failed and were tried again.", count(&l.Failures)},
		{"conntally_link_malformed_total", "Kernel messages on interfaces or routes that could not be decoded.", count(&l.Malformed)},
	}
}

// neighbourRows are of what `mac` needs to know.
func (s *Sources) neighbourRows() []row {
	n := s.Neighbours
	if n == nil {
		return nil
	}
	return []row{
		{"conntally_neighbours", "Hosts whose Ethernet address is known, those included that left in the last hour.", gauge(&n.Known)},
		{"conntally_neighbour_failures_total", "Readings of the tables of neighbours that failed and are tried again.", count(&n.Failures)},
	}
}

// printRows are of what is printed.
func (s *Sources) printRows() []row {
	p := s.Print
	if p == nil {
		return nil
	}
	return []row{
		{"conntally_print_records_total", "Flow records printed.", count(&p.Printed)},
		{"conntally_print_missed_records_total", "Flow records not printed: the reader of the standard output was too slow, or writing failed.", count(&p.Missed)},
		{"conntally_print_errors_total", "Writes to the standard output that failed.", count(&p.Errors)},
	}
}

// collectorRows are the metrics that each collector has, with its labels.
func collectorRows(c *export.CollectorStats) []row {
	return []row{
		{"conntally_export_datagrams_total", "Datagrams sent.", count(&c.Messages)},
		{"conntally_export_records_total", "Data records sent, option data included.", count(&c.Records)},
		{"conntally_export_bytes_total", "UDP payload sent.", count(&c.Octets)},
		{"conntally_export_refused_total", "Datagrams that came back (ICMP): nobody listens there, a firewall rejects, or the host does not answer.", count(&c.Refused)},
		{"conntally_export_errors_total", "Datagrams that could not be sent.", count(&c.SendErrors)},
		{"conntally_export_unsent_records_total", "Records lost because they could not be sent, or came back.", count(&c.Unsent)},
		{"conntally_export_flow_records_total", "Flow records among the data records sent.", count(&c.Flows)},
		{"conntally_export_lost_flow_records_total", "Flow records among those lost.", count(&c.LostFlows)},
		{"conntally_export_lost_packets_total", "Packets that the lost records counted.", count(&c.LostPackets)},
		{"conntally_export_lost_bytes_total", "Bytes that the lost records counted.", count(&c.LostOctets)},
		{"conntally_export_dial_errors_total", "Failures to resolve the collector's name or open a socket.", count(&c.DialErrors)},
		{"conntally_export_oversize_total", "Datagrams that a link on the way refused, sent again in fragments.", count(&c.TooLarge)},
		{"conntally_export_datagram_limit_bytes", "UDP payload that datagrams may have, as the path allows.", count(&c.Limit)},
	}
}

// goRows are of the language's runtime, under the names that its users know. The library
// has twenty more, which nobody looks at on a router.
func goRows() []row {
	sample := func(name string) func() float64 {
		return func() float64 {
			s := []metrics.Sample{{Name: name}}
			metrics.Read(s)
			return float64(s[0].Value.Uint64())
		}
	}
	return []row{
		{"go_goroutines", "Goroutines.", sample("/sched/goroutines:goroutines")},
		{"go_memstats_heap_alloc_bytes", "Heap in use by objects, those included that nobody needs any more.",
			sample("/memory/classes/heap/objects:bytes")},
		{"go_gc_cycles_total", "Garbage collections.", sample("/gc/cycles/total:gc-cycles")},
	}
}

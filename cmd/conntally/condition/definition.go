package condition

// The conditions.
const (
	AcctOff      ID = "acct_off"
	TimestampOff ID = "timestamp_off"
	EventsOff    ID = "events_off"
	EventsAuto   ID = "events_auto"

	EventsLost    ID = "events_lost"
	DumpFailed    ID = "dump_failed"
	TableFull     ID = "flow_table_full"
	NoCollector   ID = "no_collector"
	ConfigRefused ID = "config_refused"
)

// Definitions returns the list, in the order of the documentation.
func Definitions() []Definition {
	return []Definition{
		{
			ID: AcctOff, Severity: Failing, Check: "acct", Alert: "ConntallyAcctOff",
			Message: "nf_conntrack_acct is 0: no packets or bytes are counted",
			Meaning: "connections that begin while it is 0 are never counted",
			Fix:     "sysctl -w net.netfilter.nf_conntrack_acct=1",
		},
		{
			ID: TimestampOff, Severity: Warning, Check: "timestamp", Alert: "ConntallyTimestampOff",
			Message: "nf_conntrack_timestamp is 0: flows begin when first seen",
			Meaning: "start and end of a flow are as exact as the poll interval",
			Fix:     "sysctl -w net.netfilter.nf_conntrack_timestamp=1",
		},
		{
			ID: EventsOff, Severity: Failing, Check: "events", Alert: "ConntallyEventsOff",
			Message: "nf_conntrack_events is 0: the kernel reports no end of a connection",
			Meaning: "what a connection moved between the last poll and its end is lost",
			Fix:     "sysctl -w net.netfilter.nf_conntrack_events=1",
		},
		{
			ID: EventsAuto, Severity: Warning, Check: "events", Alert: "ConntallyEventsAuto", Once: true,
			Message: "nf_conntrack_events is 2: connections that begin while conntally doesn't run end unreported",
			Meaning: "after a restart, what such a connection moved between the last poll and its end is lost",
			Fix:     "sysctl -w net.netfilter.nf_conntrack_events=1",
		},
		{
			ID: EventsLost, Severity: Warning, Event: true, Alert: "ConntallyLosesEvents",
			Message: "ends of connections were lost: the receive buffer was full",
			Meaning: "what these connections moved between the last poll and their end is lost",
			Fix:     "a larger `receive_buffer`, or `reliable = true`",
		},
		{
			ID: DumpFailed, Severity: Failing, Alert: "ConntallyDumpFailed",
			Message: "reading the counters failed, and is tried again",
			Meaning: "living connections are not exported; the kernel goes on counting them",
		},
		{
			ID: TableFull, Severity: Failing, Event: true, Alert: "ConntallyTableFull",
			Message: "the flow table is full: `max_flows` is too small",
			Meaning: "what finds no room is exported when it ends, and not while it lasts",
			Fix:     "a larger `max_flows`",
		},
		{
			ID: NoCollector, Severity: Warning, Check: "collector", Alert: "ConntallyNoCollector", Once: true,
			Message: "no collector is configured: flows go to the log and nowhere else",
			Meaning: "a service without a [[collector]] exports nothing",
			Fix:     "a [[collector]] in the configuration",
		},
		{
			ID: ConfigRefused, Severity: Warning, Once: true, Alert: "ConntallyConfigRefused",
			Message: "the new configuration is refused, the old one is in force",
			Meaning: "what was changed in the file has no effect",
			Fix:     "conntally run --check-config --config FILE",
		},
	}
}

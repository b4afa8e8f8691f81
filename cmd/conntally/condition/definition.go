package condition

import "github.com/conntally/conntally/conntrack/kernel"

// The conditions.
const (
	ConntrackMissing ID = "conntrack_missing"
	NetlinkMissing   ID = "netlink_missing"
	DumpFailed       ID = "dump_failed"
	AcctOff          ID = "acct_off"
	TimestampOff     ID = "timestamp_off"
	EventsOff        ID = "events_off"
	EventsAuto       ID = "events_auto"
	SettingRestored  ID = "setting_restored"
	NotTracked       ID = "not_tracked"
	Uncounted        ID = "connections_uncounted"
	FlowtableSilent  ID = "flowtable_without_counter"
	OffloadFrozen    ID = "offload_frozen"
	CountersZeroed   ID = "counters_zeroed"
	EndsMissing      ID = "ends_missing"
	EventsLost       ID = "events_lost"
	BufferSmall      ID = "receive_buffer_small"
	SocketReopened   ID = "socket_reopened"
	ReliableEnded    ID = "reliable_ended"
	Malformed        ID = "malformed_messages"
	TableResized     ID = "kernel_table_resized"
	KernelTableFull  ID = "kernel_table_full"
	TableFull        ID = "flow_table_full"
	PollsStretched   ID = "polls_stretched"
	BridgeNetfilter  ID = "bridge_netfilter"
	ClockUnset       ID = "clock_unset"
	ClockUnsynced    ID = "clock_unsynchronised"
	NoCollector      ID = "no_collector"
	CollectorFails   ID = "collector_fails"
	NotPrinted       ID = "not_printed"
	StateFailed      ID = "state_file_failed"
	ConfigRefused    ID = "config_refused"
)

// Definitions returns the list, in the order of the documentation.
func Definitions() []Definition {
	return append(append(ofKernel(), ofReading()...), ofService()...)
}

// Modprobe loads nf_conntrack and nfnetlink, too.
const Modprobe = "modprobe nf_conntrack_netlink"

// ofKernel are those that the kernel tells of when it is asked.
func ofKernel() []Definition {
	return []Definition{
		{
			ID: ConntrackMissing, Severity: Failing, Check: "modules", Alert: "ConntallyConntrackMissing",
			Message: "nf_conntrack is not loaded: nothing is tracked",
			Meaning: "there is nothing to export",
			Fix:     Modprobe,
		},
		{
			ID: NetlinkMissing, Severity: Failing, Check: "modules", Alert: "ConntallyNetlinkMissing",
			Message: "nf_conntrack_netlink is not loaded: what is tracked can't be read",
			Meaning: "nothing is exported; the kernel counts all the same",
			Fix:     Modprobe,
		},
		{
			ID: AcctOff, Severity: Failing, Check: "acct", Alert: "ConntallyAcctOff",
			Message: "nf_conntrack_acct is 0: no packets or bytes are counted",
			Meaning: "connections that begin while it is 0 are never counted",
			Fix:     "sysctl -w net.netfilter.nf_conntrack_acct=1",
		},
		{
			ID: TimestampOff, Severity: Warning, Check: "timestamp", Alert: "ConntallyTimestampOff",
			Message: "nf_conntrack_timestamp is 0: flows begin when first seen",
			Meaning: "start and end of a flow are only as exact as the poll interval",
			Fix:     "sysctl -w net.netfilter.nf_conntrack_timestamp=1",
		},
		{
			ID: EventsOff, Severity: Failing, Check: "events", Alert: "ConntallyEventsOff",
			Message: "nf_conntrack_events is 0: the kernel reports no end of a connection",
			Meaning: "what a connection moves between the last poll and its end is lost",
			Fix:     "sysctl -w net.netfilter.nf_conntrack_events=1",
		},
		{
			ID: EventsAuto, Severity: Warning, Check: "events", Alert: "ConntallyEventsAuto", Once: true,
			Message: "nf_conntrack_events is 2: connections that begin while conntally doesn't run end unreported",
			Meaning: "of such a connection, what it moves between the last poll and its end is lost",
			Fix:     "sysctl -w net.netfilter.nf_conntrack_events=1",
		},
		{
			ID: SettingRestored, Severity: Warning, Subjects: "setting", Event: true, Alert: "ConntallySettingRestored",
			Message: "another program turned a setting off, and it was turned on again",
			Meaning: "connections that began meanwhile stay without counters, start time or end event",
			Advice:  "find what sets it: sysctl --system, a firewall's script",
		},
		{
			ID: NotTracked, Severity: Failing, Check: "tracking", Alert: "ConntallyNotTracked",
			Message: "no rule has connections tracked: nothing can be exported",
			Meaning: "the kernel tracks only while a rule uses conntrack",
			Fix:     kernel.TrackRule,
		},
		{
			ID: Uncounted, Severity: Warning, Check: "counters", Alert: "ConntallyConnectionsUncounted", Once: true,
			Message: "connections are older than nf_conntrack_acct=1, and uncounted until they end",
			Meaning: "they are missing from the export, such as a download that runs since before. " +
				"The command forgets all connections at once: some may break",
			Fix: "conntrack -F",
		},
		{
			ID: FlowtableSilent, Severity: Failing, Check: "offload", Subjects: "flowtable", Alert: "ConntallyFlowtableWithoutCounter",
			Message: "flowtable without counter: what it forwards is not counted",
			Meaning: "a connection's counters freeze when it is offloaded. Write `counter;` into your ruleset, too",
			Advice:  "write counter; into the flowtable",
		},
		{
			ID: OffloadFrozen, Severity: Warning, Check: "offload", Alert: "ConntallyOffloadFrozen",
			Message: "no counter of any offloaded connection moves",
			Meaning: "the hardware forwards and doesn't count; or these connections rest",
			Advice:  "leave flags offload; out of the flowtable",
		},
		{
			ID: KernelTableFull, Severity: Warning, Check: "table", Alert: "ConntrackTableFills",
			Message: "the kernel's connection table is nearly full: a full one refuses new connections",
			Meaning: "80 % of nf_conntrack_max or more",
			Advice:  "a larger net.netfilter.nf_conntrack_max",
		},
		{
			ID: BridgeNetfilter, Severity: Warning, Check: "bridge", Alert: "ConntallyBridgeNetfilter", Once: true,
			Message: "br_netfilter is on: conntrack sees frames that are only bridged",
			Meaning: "traffic between two ports of a bridge is exported, too, and its interfaces may be unknown. " +
				"Docker and Kubernetes need it",
			Fix: "sysctl -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0",
		},
		{
			ID: ClockUnset, Severity: Failing, Check: "clock", Alert: "ConntallyClockUnset",
			Message: "the clock was never set, and all flows are dated wrong",
			Meaning: "it is before 2020",
			Advice:  "chrony or another NTP client sets it",
		},
		{
			ID: ClockUnsynced, Severity: Warning, Check: "clock", Alert: "ConntallyClockUnsynchronised", Once: true,
			Message: "the clock isn't synchronised: flows may be dated wrong",
			Meaning: "the kernel says so, see adjtimex(2)",
			Advice:  "chrony or another NTP client synchronises it",
		},
	}
}

// ofReading are those that show while conntrack is read.
func ofReading() []Definition {
	return []Definition{
		{
			ID: DumpFailed, Severity: Failing, Check: "counters", Alert: "ConntallyDumpFailed",
			Message: "the connection table can't be read",
			Meaning: "living connections are not exported; it is tried again, and the kernel goes on counting",
		},
		{
			ID: CountersZeroed, Severity: Failing, Check: "listeners", Event: true, Alert: "ConntallyCountersZeroed",
			Message: "another program sets the counters to zero: what they counted since the last poll is lost",
			Meaning: "nlbwmon does, and `conntrack -z`; 14 to 50 % of the bytes were missing in tests",
			Advice:  "stop that program",
		},
		{
			ID: EndsMissing, Severity: Failing, Check: "events", Event: true, Alert: "ConntallyEndsMissing",
			Message: "connections end without being reported, though events are on",
			Meaning: "what they moved between the last poll and their end is lost: another kernel module has taken the event " +
				"notifier, or they are older than conntally and nf_conntrack_events was 2 or 0",
			Advice: "see which modules use conntrack: lsmod",
		},
		{
			ID: EventsLost, Severity: Warning, Event: true, Alert: "ConntallyLosesEvents",
			Message: "ends of connections were lost: the receive buffer was full",
			Meaning: "what these connections moved between the last poll and their end is lost",
			Advice:  "a larger receive_buffer, or reliable = true",
		},
		{
			ID: BufferSmall, Severity: Warning, Check: "buffer", Alert: "ConntallyReceiveBufferSmall", Once: true,
			Message: "the receive buffer is smaller than receive_buffer",
			Meaning: "fewer ends of connections at once fit; net.core.rmem_max binds even root in a container",
			Advice:  "a larger net.core.rmem_max",
		},
		{
			ID: SocketReopened, Severity: Warning, Event: true, Alert: "ConntallySocketReopened",
			Message: "reading events failed, and the socket was opened again",
			Meaning: "what ended meanwhile is missing from its last poll on",
		},
		{
			ID: ReliableEnded, Severity: Warning, Alert: "ConntallyReliableEnded", Once: true,
			Message: "reading stalled: reliable delivery ended, so that the router doesn't refuse connections",
			Meaning: "from here on, ends of connections may be lost as without `reliable`",
			Advice:  "restart conntally",
		},
		{
			ID: Malformed, Severity: Warning, Event: true, Alert: "ConntallyMalformedMessages",
			Message: "messages of the kernel could not be decoded",
			Meaning: "the connections that they told of are missing",
			Advice:  "report it, with the kernel's version",
		},
		{
			ID: TableResized, Severity: Warning, Event: true, Alert: "ConntallyKernelTableResized",
			Message: "the kernel resized its table during a dump",
			Meaning: "the dump is read again; where that fails, too, records come a poll later",
		},
		{
			ID: TableFull, Severity: Failing, Event: true, Alert: "ConntallyTableFull",
			Message: "the flow table is full: max_flows is too small",
			Meaning: "what finds no room is exported when it ends, and not while it lasts",
			Advice:  "a larger max_flows",
		},
		{
			ID: PollsStretched, Severity: Warning, Alert: "ConntallyPollsStretched", Once: true,
			Message: "polls are stretched: they would take more CPU than max_cpu",
			Meaning: "records of living connections come later; nothing is lost",
			Advice:  "a larger max_cpu",
		},
	}
}

// ofService are those of the program around it.
func ofService() []Definition {
	return []Definition{
		{
			ID: NoCollector, Severity: Warning, Check: "collector", Alert: "ConntallyNoCollector", Once: true,
			Message: "no collector is configured: a service exports nothing",
			Meaning: "flows are printed to the standard output, which a service's log has or nobody",
			Advice:  "a [[collector]] in the configuration",
		},
		{
			ID: CollectorFails, Severity: Failing, Alert: "ConntallyCollectorFails", Subjects: "collector",
			Message: "what is exported doesn't arrive: the collector refuses it, is off, or can't be reached",
			Meaning: "these records are missing there; conntally_export_lost_* count those that are known to be lost",
			Advice:  "look whether the collector runs, and `conntally check --config FILE`",
		},
		{
			ID: NotPrinted, Severity: Failing, Event: true, Alert: "ConntallyNotPrinted",
			Message: "flows were not printed: the standard output is read too slowly, or can't be written",
			Meaning: "these flows are missing from what is printed",
			Advice:  "a faster reader, or a [[collector]]",
		},
		{
			ID: StateFailed, Severity: Warning, Alert: "ConntallyNoExactRestart",
			Message: "the state file can't be kept: a restart would not be exact",
			Meaning: "what moves between the last record and a restart is lost",
			Advice:  "room and rights in the state directory",
		},
		{
			ID: ConfigRefused, Severity: Warning, Alert: "ConntallyConfigRefused", Once: true,
			Message: "the new configuration is refused, the old one is in force",
			Meaning: "what was changed in the file has no effect",
			Advice:  "conntally run --check-config --config FILE says why",
		},
	}
}

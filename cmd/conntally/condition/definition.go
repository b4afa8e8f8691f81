package condition

import (
	"slices"

	"github.com/conntally/conntally/conntrack/kernel"
)

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
	EndsLate         ID = "ends_late"
	EventsLost       ID = "events_lost"
	BufferSmall      ID = "receive_buffer_small"
	SocketReopened   ID = "socket_reopened"
	ReliableEnded    ID = "reliable_ended"
	SourceFellBack   ID = "source_fell_back"
	DumpsFellBack    ID = "dumps_fell_back"
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
	RestartNeeded    ID = "restart_needed"
	NamesUnreadable  ID = "names_unreadable"
	FilterInterface  ID = "filter_interface_missing"
)

// Definitions returns the list, in the order of the documentation.
func Definitions() []Definition {
	return slices.Concat(moduleDefinitions(), settingDefinitions(), countingDefinitions(),
		machineDefinitions(), eventDefinitions(), dumpDefinitions(), serviceDefinitions())
}

// Modprobe also loads nf_conntrack and nfnetlink.
const Modprobe = "modprobe nf_conntrack_netlink"

// moduleDefinitions are the conditions of kernel modules.
func moduleDefinitions() []Definition {
	return []Definition{
		{
			ID: ConntrackMissing, Severity: Failing, Check: "modules",
			Alert:   "ConntallyConntrackMissing",
			Message: "nf_conntrack is not loaded: nothing is tracked",
			Meaning: "there is nothing to export",
			Fix:     Modprobe,
		},
		{
			ID: NetlinkMissing, Severity: Failing, Check: "modules",
			Alert:   "ConntallyNetlinkMissing",
			Message: "nf_conntrack_netlink is not loaded: tracked connections can't be read",
			Meaning: "nothing is exported; the kernel keeps counting",
			Fix:     Modprobe,
		},
	}
}

// settingDefinitions are the conditions of sysctls.
func settingDefinitions() []Definition {
	return []Definition{
		{
			ID: AcctOff, Severity: Failing, Check: "acct", Alert: "ConntallyAcctOff",
			Message: "nf_conntrack_acct is 0: no packets or bytes are counted",
			Meaning: "connections that begin while it is 0 are never counted",
			Fix:     "sysctl -w net.netfilter.nf_conntrack_acct=1",
		},
		{
			ID: TimestampOff, Severity: Warning, Check: "timestamp", Alert: "ConntallyTimestampOff",
			Message: "nf_conntrack_timestamp is 0: flows start when first seen",
			Meaning: "the start and end of a flow are only as exact as the poll interval",
			Fix:     "sysctl -w net.netfilter.nf_conntrack_timestamp=1",
		},
		{
			ID: EventsOff, Severity: Failing, Check: "events", Alert: "ConntallyEventsOff",
			Message: "nf_conntrack_events is 0: the kernel doesn't report ends of connections",
			Meaning: "a connection's traffic between the last poll and its end is lost",
			Fix:     "sysctl -w net.netfilter.nf_conntrack_events=1",
		},
		{
			ID: EventsAuto, Severity: Warning, Check: "events",
			Alert: "ConntallyEventsAuto", Once: true,
			Message: "nf_conntrack_events is 2: connections that begin while conntally isn't " +
				"running end unreported",
			Meaning: "the traffic of such a connection between the last poll and its end is lost",
			Fix:     "sysctl -w net.netfilter.nf_conntrack_events=1",
		},
		{
			ID: SettingRestored, Severity: Warning, Subjects: "setting", Event: true,
			Alert:   "ConntallySettingRestored",
			Message: "another program turned a setting off; it was turned on again",
			Meaning: "connections that began in between have no counters, start time or end " +
				"event: what they move, or have moved since the last poll, may be missing",
			Advice: "find the program that sets it: sysctl --system, a firewall script",
		},
	}
}

// countingDefinitions are the conditions of tracking, counting and offloading.
func countingDefinitions() []Definition {
	return []Definition{
		{
			ID: NotTracked, Severity: Failing, Check: "tracking", Alert: "ConntallyNotTracked",
			Message: "no rule enables connection tracking: nothing can be exported",
			Meaning: "the kernel tracks only while a rule uses conntrack",
			Fix:     kernel.TrackRule,
		},
		{
			ID: Uncounted, Severity: Warning, Check: "counters",
			Alert: "ConntallyConnectionsUncounted", Once: true,
			Message: "connections that began before nf_conntrack_acct=1 are not counted",
			Meaning: "they are missing from the export, such as a download that was already " +
				"running",
			Advice: "wait until they end, or forget all connections, which breaks some: conntrack -F",
		},
		{
			ID: FlowtableSilent, Severity: Failing, Check: "offload", Subjects: "flowtable",
			Alert:   "ConntallyFlowtableWithoutCounter",
			Message: "flowtable without counter: the traffic it forwards is not counted",
			Meaning: "a connection's counters stop when it is offloaded. Add `counter;` to your " +
				"ruleset, too",
			Advice: "add counter; to the flowtable",
		},
		{
			ID: OffloadFrozen, Severity: Warning, Check: "offload", Alert: "ConntallyOffloadFrozen",
			Message: "the counters of offloaded connections don't change",
			Meaning: "the hardware forwards without counting, or these connections are idle",
			Advice:  "remove flags offload; from the flowtable",
		},
	}
}

// machineDefinitions are the other conditions of the machine.
func machineDefinitions() []Definition {
	return []Definition{
		{
			ID: KernelTableFull, Severity: Warning, Check: "table", Alert: "ConntrackTableFills",
			Message: "the kernel's connection table is nearly full: when full, it refuses new " +
				"connections",
			Meaning: "it holds 80 % of nf_conntrack_max or more",
			Advice:  "increase net.netfilter.nf_conntrack_max",
		},
		{
			ID: BridgeNetfilter, Severity: Warning, Check: "bridge",
			Alert: "ConntallyBridgeNetfilter", Once: true,
			Message: "br_netfilter is on: conntrack sees frames that are only bridged",
			Meaning: "traffic between two ports of a bridge is exported, too, and its " +
				"interfaces may be unknown. " +
				"Docker and Kubernetes need it",
			Fix: "sysctl -w net.bridge.bridge-nf-call-iptables=0 " +
				"net.bridge.bridge-nf-call-ip6tables=0",
		},
		{
			ID: ClockUnset, Severity: Failing, Check: "clock", Alert: "ConntallyClockUnset",
			Message: "the clock was never set: all flows have wrong times",
			Meaning: "it shows a year before 2020",
			Advice:  "run chrony or another NTP client",
		},
		{
			ID: ClockUnsynced, Severity: Warning, Check: "clock",
			Alert: "ConntallyClockUnsynchronised", Once: true,
			Message: "the clock isn't synchronised: flows may have wrong times",
			Meaning: "the kernel reports this, see adjtimex(2)",
			Advice:  "run chrony or another NTP client",
		},
	}
}

// eventDefinitions are the conditions of events and counters.
func eventDefinitions() []Definition {
	return []Definition{
		{
			ID: CountersZeroed, Severity: Failing, Check: "listeners", Event: true,
			Alert:   "ConntallyCountersZeroed",
			Message: "another program resets the counters: traffic since the last poll is lost",
			Meaning: "nlbwmon does this, and `conntrack -L -z`; in tests, 14 to 50 % of the " +
				"bytes were lost; a new connection that has counted nothing, though answered, " +
				"may also be one that a program has inserted",
			Advice: "stop that program",
		},
		{
			ID: EndsMissing, Severity: Failing, Check: "events", Event: true,
			Alert:   "ConntallyEndsMissing",
			Message: "connections end without an event, though events are on",
			Meaning: "their traffic between the last poll and their end is lost: another kernel " +
				"module has taken " +
				"the event notifier, or they began before conntally while nf_conntrack_events " +
				"was 2 or 0",
			Advice: "find the modules that use conntrack: lsmod",
		},
		{
			ID: EventsLost, Severity: Warning, Event: true, Alert: "ConntallyLosesEvents",
			Message: "DESTROY events were lost: the receive buffer was full",
			Meaning: "the traffic of these connections between the last poll and their end is lost",
			Advice:  "increase receive_buffer, or set reliable = true",
		},
		{
			ID: EndsLate, Severity: Warning, Event: true, Alert: "ConntallyEndsLate",
			Message: "ends of connections came late, after those of others had been lost",
			Meaning: "each may be that of a connection that was exported when it disappeared from " +
				"the kernel's table: so that nothing counts twice, what it moved since the last " +
				"poll before that is lost, and all of it if no poll had seen it",
			Advice: "increase receive_buffer, so that no events are lost",
		},
		{
			ID: BufferSmall, Severity: Warning, Check: "buffer",
			Alert: "ConntallyReceiveBufferSmall", Once: true,
			Message: "the receive buffer is smaller than receive_buffer",
			Meaning: "it holds fewer events; net.core.rmem_max limits even root in a container",
			Advice:  "increase net.core.rmem_max",
		},
		{
			ID: SocketReopened, Severity: Warning, Event: true, Alert: "ConntallySocketReopened",
			Message: "reading events failed, and the socket was reopened",
			Meaning: "the traffic of connections that ended in between is lost from the last " +
				"poll on",
		},
		{
			ID: ReliableEnded, Severity: Warning, Alert: "ConntallyReliableEnded", Once: true,
			Message: "reading stalled: reliable delivery was ended so that the router doesn't " +
				"refuse connections",
			Meaning: "from now on, events may be lost as without `reliable`",
			Advice:  "restart conntally",
		},
		{
			ID: SourceFellBack, Severity: Warning, Check: "source",
			Alert: "ConntallySourceFellBack", Once: true,
			Message: "eBPF can't be had, though source asks for it: ends of connections are read " +
				"by netlink",
			Meaning: "each end costs more CPU; nothing is lost",
			Advice:  "docs/ebpf.md lists what eBPF needs",
		},
		{
			ID: DumpsFellBack, Severity: Warning, Check: "source",
			Alert: "ConntallyDumpsFellBack", Once: true,
			Message: "living connections can't be read by eBPF, though source asks for it: they " +
				"are dumped by netlink",
			Meaning: "each poll costs more CPU, and may hold up a core for longer; nothing is lost",
			Advice:  "docs/ebpf.md lists what eBPF needs",
		},
	}
}

// dumpDefinitions are the conditions of dumps and of the flow table.
func dumpDefinitions() []Definition {
	return []Definition{
		{
			ID: DumpFailed, Severity: Failing, Check: "counters", Alert: "ConntallyDumpFailed",
			Message: "the connection table can't be read",
			Meaning: "living connections are not exported; reading is retried, and the kernel " +
				"keeps counting",
		},
		{
			ID: Malformed, Severity: Warning, Event: true, Alert: "ConntallyMalformedMessages",
			Message: "messages from the kernel could not be decoded",
			Meaning: "the connections in these messages are missing",
			Advice:  "report this with the kernel version",
		},
		{
			ID: TableResized, Severity: Warning, Event: true, Alert: "ConntallyKernelTableResized",
			Message: "the kernel resized its table during a dump",
			Meaning: "the dump is repeated; if that fails, too, records are one poll late",
		},
		{
			ID: TableFull, Severity: Failing, Event: true, Alert: "ConntallyTableFull",
			Message: "the flow table is full: max_flows is too small",
			Meaning: "connections without room are exported when they end, not before",
			Advice:  "increase max_flows",
		},
		{
			ID: PollsStretched, Severity: Warning, Alert: "ConntallyPollsStretched", Once: true,
			Message: "polls are stretched: they would use more CPU than max_cpu",
			Meaning: "records of living connections are late; nothing is lost",
			Advice:  "increase max_cpu",
		},
	}
}

// serviceDefinitions are the conditions of export, state file and configuration.
func serviceDefinitions() []Definition {
	return []Definition{
		{
			ID: NoCollector, Severity: Warning, Check: "collector",
			Alert: "ConntallyNoCollector", Once: true,
			Message: "no collector is configured: the service exports nothing",
			Meaning: "flows are printed to standard output, which goes to the service's log or " +
				"nowhere",
			Advice: "add a [[collector]] to the configuration",
		},
		{
			ID: CollectorFails, Severity: Failing,
			Alert: "ConntallyCollectorFails", Subjects: "collector",
			Message: "exported records don't arrive: the collector refuses them, is off, or " +
				"can't be reached",
			Meaning: "these records are missing there; conntally_export_lost_* count those " +
				"known to be lost",
			Advice: "check that the collector is running, and run conntally check --config FILE",
		},
		{
			ID: NotPrinted, Severity: Failing, Event: true, Alert: "ConntallyNotPrinted",
			Message: "flows were not printed: standard output is read too slowly or can't be " +
				"written",
			Meaning: "these flows are missing from the output",
			Advice:  "read faster, or add a [[collector]]",
		},
		{
			ID: StateFailed, Severity: Warning, Alert: "ConntallyNoExactRestart", Subjects: "file",
			Message: "the state directory can't be written: a restart would not be exact",
			Meaning: "traffic between the last record and a restart is lost",
			Advice:  "check the free space and permissions of the state directory",
		},
		{
			ID: ConfigRefused, Severity: Warning, Alert: "ConntallyConfigRefused", Once: true,
			Message: "the new configuration was refused; the old one remains in force",
			Meaning: "changes to the file have no effect",
			Advice:  "run conntally run --check-config --config FILE",
		},
		{
			ID: RestartNeeded, Severity: Warning, Alert: "ConntallyRestartNeeded", Once: true,
			Message: "some changes need a restart",
			Meaning: "these keys of the file take effect only at the start, and have their old " +
				"values until then",
			Advice: "restart conntally",
		},
		{
			ID: NamesUnreadable, Severity: Warning, Alert: "ConntallyNamesUnreadable",
			Check: "names", Subjects: "file", Once: true,
			Message: "a file with names of devices can't be read",
			Meaning: "devices that only this file names have no name; their traffic is counted",
			Advice:  "docs/devices.md, Names, lists what each file needs",
		},
		{
			ID: FilterInterface, Severity: Warning, Alert: "ConntallyFilterInterfaceMissing",
			Check: "filters", Subjects: "interface", Once: true,
			Message: "a filter names an interface that isn't there",
			Meaning: "it matches no connection until there is one of this name, such as that of a " +
				"tunnel that is not up yet",
			Advice: "ip -br link lists the interfaces",
		},
	}
}

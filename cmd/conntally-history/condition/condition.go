// Package condition has the list of everything that can be wrong with collecting. Log, metrics,
// /healthz and the web page are made from it.
package condition

import (
	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/internal/condition"
)

// The conditions.
const (
	RecordsMissing     condition.ID = "records_missing"
	TemplatesUnknown   condition.ID = "templates_unknown"
	DatagramsMalformed condition.ID = "datagrams_malformed"
	SenderRefused      condition.ID = "sender_refused"
	DatagramsDropped   condition.ID = "datagrams_dropped"
	BufferSmall        condition.ID = "receive_buffer_small"
	NothingReceived    condition.ID = "nothing_received"
	ExporterSilent     condition.ID = "exporter_silent"
	DevicesFull        condition.ID = "devices_full"
	WriteFailed        condition.ID = "write_failed"
	PruneFailed        condition.ID = "prune_failed"
	DatabaseSetAside   condition.ID = "database_set_aside"
	NamesUnreadable    condition.ID = "names_unreadable"
	NetworkUnreadable  condition.ID = "network_unreadable"
	ServicesUnreadable condition.ID = "services_unreadable"
)

// NewTracker returns a Tracker by which no condition holds.
func NewTracker(log *zap.Logger) *condition.Tracker {
	return condition.NewTracker(log, Definitions())
}

// Definitions returns the list, in the order of the documentation.
func Definitions() []condition.Definition {
	return append(received(), kept()...)
}

// received are the conditions of what is received.
func received() []condition.Definition {
	return []condition.Definition{
		{
			ID: RecordsMissing, Severity: condition.Warning, Event: true, Subjects: "exporter",
			Message: "flow records are missing: they were lost on their way, or while nothing ran",
			Meaning: "what they counted is in no figure; reports say how many are missing",
			Advice:  "increase receive_buffer, or look for losses between the exporter and here",
		},
		{
			ID: TemplatesUnknown, Severity: condition.Warning, Event: true, Subjects: "exporter",
			Message: "flow records came without their template and can't be read",
			Meaning: "what they counted is in no figure",
			Advice:  "have the exporter repeat its templates each minute",
		},
		{
			ID: DatagramsMalformed, Severity: condition.Warning, Event: true, Subjects: "exporter",
			Message: "datagrams could not be read: neither IPFIX nor NetFlow v9, or malformed",
			Meaning: "what they counted is in no figure",
			Advice:  "have the exporter send IPFIX or NetFlow v9",
		},
		{
			ID: SenderRefused, Severity: condition.Warning, Event: true,
			Message: "datagrams came from an address that is not in [collector] exporters",
			Meaning: "they are ignored",
			Advice:  "add the address to exporters, or have it send nothing",
		},
		{
			ID: DatagramsDropped, Severity: condition.Warning, Event: true,
			Message: "datagrams were dropped: the receive buffer was full",
			Meaning: "what they counted is in no figure",
			Advice:  "increase receive_buffer",
		},
		{
			ID: BufferSmall, Severity: condition.Warning, Once: true,
			Message: "the receive buffer is smaller than receive_buffer",
			Meaning: "it holds fewer datagrams while the machine is busy",
			Advice:  "increase net.core.rmem_max",
		},
		{
			ID: NothingReceived, Severity: condition.Warning, Once: true,
			Message: "no exporter has sent anything yet",
			Meaning: "there is nothing to count",
			Advice:  "have conntally export here: a [[collector]] with this address",
		},
		{
			ID: ExporterSilent, Severity: condition.Warning, Once: true, Subjects: "exporter",
			Message: "an exporter doesn't send any more",
			Meaning: "it is off, can't reach this machine, or has nothing to report",
			Advice:  "look whether it runs: conntally status",
		},
		{
			ID: DevicesFull, Severity: condition.Warning, Event: true,
			Message: "there is no room for more devices: new ones count as \"other\"",
			Meaning: "nothing is lost, but it is not known who moved it",
			Advice:  "increase max in [devices]",
		},
	}
}

// kept are the conditions of the database and of the machine.
func kept() []condition.Definition {
	return []condition.Definition{
		{
			ID: WriteFailed, Severity: condition.Failing,
			Message: "the database can't be written: usage is kept in memory and written later",
			Meaning: "nothing is lost yet, but it would be if the program ended",
			Advice:  "look whether the disk is full: df",
		},
		{
			ID: PruneFailed, Severity: condition.Warning,
			Message: "old usage can't be summed up or deleted",
			Meaning: "the database becomes larger than configured; it is tried again each day",
		},
		{
			ID: DatabaseSetAside, Severity: condition.Warning, Once: true,
			Message: "the database was damaged; it was set aside and a new one begun",
			Meaning: "what was counted before is in the old file",
			Advice:  "sqlite3 OLD .recover may save what is in it",
		},
		{
			ID: NamesUnreadable, Severity: condition.Warning, Once: true, Subjects: "file",
			Message: "names of devices can't be read",
			Meaning: "devices show as addresses, or by their previous names",
		},
		{
			ID: NetworkUnreadable, Severity: condition.Warning, Once: true,
			Message: "this machine's neighbours and addresses can't be read",
			Meaning: "devices are known by address alone, unless records have MAC addresses",
			Advice:  "allow the service netlink sockets: RestrictAddressFamilies=AF_NETLINK",
		},
		{
			ID: ServicesUnreadable, Severity: condition.Warning,
			Message: "what services move can't be read from systemd",
			Meaning: "it is counted later, unless they end before that",
		},
	}
}

// Package usage has the values that history is made of: who moved how much, and when.
//
//	export/decode -> collect -> Batch -> store -> report, web
//	systemd       -> services -> Batch
//
// Bytes are those of layer 3 with the IP header, as a record counts them. Up is what a device
// sends, down what it receives.
package usage

import (
	"net/netip"
	"time"
)

// Counters are what moved.
type Counters struct{ UpBytes, DownBytes, UpPackets, DownPackets uint64 }

// Add adds other to c.
func (c *Counters) Add(other Counters) {
	c.UpBytes += other.UpBytes
	c.DownBytes += other.DownBytes
	c.UpPackets += other.UpPackets
	c.DownPackets += other.DownPackets
}

// Usage is what a device moved, by where the other end is: behind an uplink or not.
type Usage struct{ WAN, LAN Counters }

// Add adds other to u.
func (u *Usage) Add(other Usage) {
	u.WAN.Add(other.WAN)
	u.LAN.Add(other.LAN)
}

// Device describes a device. ID identifies it as `conntally devices` does: "router", an
// Ethernet address, an IP address, or "other" for all that found no room.
type Device struct {
	ID, Name, MAC, Vendor string
	Addresses             []netip.Addr // the latest first
	First, Last           time.Time    // when it moved something
}

// Other is the ID of what belongs to no device of its own.
const Other = "other"

// Router is the ID of the machine that conntally-history runs on.
const Router = "router"

// Hour is the start of an hour of local time, in seconds since 1970. A zone half an hour off
// has hours that begin at half past in UTC.
type Hour int64

// Day is a day of local time, in days since 1970-01-01.
type Day int32

// Month is a month of local time, in months since January of year 0: 12 times the year, plus
// 0 for January.
type Month int32

// DeviceHour identifies what one device moved in one hour.
type DeviceHour struct {
	Hour   Hour
	Day    Day // that Hour is in
	Device string
}

// Destination identifies what a device exchanged with one address and port in one day.
type Destination struct {
	Day      Day
	Device   string
	Remote   netip.Addr // the zero Addr: all that are not among the largest
	Protocol uint8      // IANA's number
	Port     uint16     // of the service: of the side that did not open the connection
	Inbound  bool       // the remote opened the connection
}

// DestinationUsage is what one destination has seen.
type DestinationUsage struct {
	Usage
	// UpContacts and DownContacts count how often each direction began to move: a connection
	// that falls idle and speaks again is another contact. The contacts of a destination are
	// the larger of both, since each direction makes records of its own.
	UpContacts, DownContacts uint64
	First, Last              time.Time // of the day
}

// Exporter identifies a stream of flow records with a sequence of its own.
type Exporter struct {
	Address netip.Addr
	Version uint16 // 9 or 10 (IPFIX)
	Domain  uint32
}

// ExporterHour identifies what one exporter sent in one hour, by time of receipt.
type ExporterHour struct {
	Hour     Hour
	Day      Day
	Exporter Exporter
}

// Intake is what came from an exporter, and what did not.
type Intake struct {
	Datagrams, Records, Bytes uint64 // Bytes are those that the flow records count
	MissingRecords            uint64 // by the sequence of IPFIX
	MissingDatagrams          uint64 // by the sequence of NetFlow v9
	UnknownSets               uint64 // whose template had not come
	Refused                   uint64 // malformed datagrams
}

// Add adds other to i.
func (i *Intake) Add(other Intake) {
	i.Datagrams += other.Datagrams
	i.Records += other.Records
	i.Bytes += other.Bytes
	i.MissingRecords += other.MissingRecords
	i.MissingDatagrams += other.MissingDatagrams
	i.UnknownSets += other.UnknownSets
	i.Refused += other.Refused
}

// Sequence is where an exporter's sequence stands: the next message from Port should have Next.
// It is stored with what has been counted, so that the gap after a crash is known exactly.
type Sequence struct {
	Port uint16
	Next uint32
}

// ServiceHour identifies what one unit of systemd moved in one hour.
type ServiceHour struct {
	Hour Hour
	Day  Day
	Unit string
}

// ServiceState is how far the counters of one invocation of a unit have been counted. Of a unit
// that was restarted there may be two: what the first one moved last may still come.
type ServiceState struct {
	Unit       string
	Invocation string // InvocationID, 32 hexadecimal digits
	Counted    Counters
}

// Batch is what is written at once: all of it, or nothing.
type Batch struct {
	At time.Time

	// Merges come first: devices that turned out to be others.
	Merges       []Merge
	Devices      []Device // those that are new or have changed
	Hours        map[DeviceHour]Usage
	Destinations map[Destination]DestinationUsage

	Exporters map[ExporterHour]Intake
	Sequences map[Exporter]Sequence

	Services      map[ServiceHour]Counters
	ServiceStates []ServiceState // all there are; nil: unchanged
	JournalCursor string         // of the journal's last entry that is counted; "": unchanged
}

// Merge says that the device From is the device Into: all that From moved belongs to Into.
type Merge struct{ From, Into string }

// Losses are what a span of time lacks.
type Losses struct {
	Intake
	// Absent are times during which nothing was received, as conntally-history did not run.
	Absent []Absence
}

// Absence is a time without conntally-history. After a crash it begins with the last flush.
type Absence struct {
	From, To time.Time
	Crash    bool
}

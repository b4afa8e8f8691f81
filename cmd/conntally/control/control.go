// Package control answers questions about the running service over a Unix socket, and asks
// them. docs/control.md describes the objects.
//
//	Source -> Handler -> GET /v1/devices: [{"device": ...}] -> Client, a Source again
package control

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally/condition"
)

// Source answers from snapshots: it never blocks the probe. maxAge asks for counters that are
// at most that old, for which the source may read them early; they may still be somewhat
// older. 0 accepts any age.
type Source interface {
	Status(ctx context.Context) (Status, error)
	Conditions(ctx context.Context) ([]condition.Condition, error)
	Devices(ctx context.Context, maxAge time.Duration) (*Devices, error)
	// Flows returns at most limit connections, the fastest first, then the largest. Of a
	// connection between two devices it returns one flow, as that of the device that opened
	// it; or, if device isn't "", as that device's. device is any word that Device.Is
	// accepts. The error is ErrNoDevice if there is none.
	Flows(ctx context.Context, device string, limit int, maxAge time.Duration) (*Flows, error)
}

// ErrNoDevice means that no device has the name that was asked for.
var ErrNoDevice = errors.New("no such device; conntally devices lists them")

// Limits of the number of flows in an answer.
const (
	DefaultLimit = 1000
	MaxLimit     = 10000
)

// Usage is what moved, seen from the device: up is what it sent.
type Usage struct {
	UpBytes     uint64 `json:"up_bytes"`
	DownBytes   uint64 `json:"down_bytes"`
	UpPackets   uint64 `json:"up_packets"`
	DownPackets uint64 `json:"down_packets"`
}

// Device is a device with its counters since the service first saw it.
type Device struct {
	Device      string    `json:"device"` // its identity, which stays when names change
	Name        string    `json:"name"`   // "" if unknown
	MAC         string    `json:"mac"`    // "" if unknown
	Addresses   []string  `json:"addresses"`
	Vendor      string    `json:"vendor"` // "" if unknown
	Online      bool      `json:"online"`
	FirstSeen   time.Time `json:"first_seen,omitzero"` // zero: never
	LastSeen    time.Time `json:"last_seen,omitzero"`
	Connections int       `json:"connections"` // open now
	WAN         Usage     `json:"wan"`         // the other end is behind an uplink
	LAN         Usage     `json:"lan"`         // it is not
}

// Label names the device: by its name, or else its first address, or else its identity.
func (d *Device) Label() string {
	switch {
	case d.Name != "":
		return d.Name
	case len(d.Addresses) > 0:
		return d.Addresses[0]
	}
	return d.Device
}

// Is reports whether a word names the device: its identity, name, MAC or one of its
// addresses, in any case.
func (d *Device) Is(word string) bool {
	for _, name := range append([]string{d.Device, d.Name, d.MAC}, d.Addresses...) {
		if name != "" && strings.EqualFold(word, name) {
			return true
		}
	}
	return false
}

// Devices are all devices at one reading of the counters.
type Devices struct {
	Read    time.Time // when the counters were last read; zero: not yet
	Devices []Device
}

// Scopes of flows.
const (
	WAN = "wan"
	LAN = "lan"
)

// Flow is an open connection.
type Flow struct {
	ID       string `json:"id"`       // in hex, that of exported records
	Device   string `json:"device"`   // Device.Device
	Name     string `json:"name"`     // Device.Name
	Inbound  bool   `json:"inbound"`  // the other end opened it: the device is dst, else src
	Protocol string `json:"protocol"` // such as "tcp", or a number
	Src      string `json:"src"`      // opened it
	SrcPort  uint16 `json:"src_port"`
	Dst      string `json:"dst"` // as it is after NAT
	DstPort  uint16 `json:"dst_port"`
	// The source after NAT; "" if it is the same.
	PostSrc     string `json:"post_nat_src,omitempty"`
	PostSrcPort uint16 `json:"post_nat_src_port,omitempty"`
	Input       string `json:"input"`  // interface towards src; "": the router itself, or unknown
	Output      string `json:"output"` // interface towards dst
	Scope       string `json:"scope"`  // WAN or LAN
	Usage              // since the connection began; up is what the device sent
	// Over the last two readings.
	UpBitsPerSecond   float64   `json:"up_bits_per_second"`
	DownBitsPerSecond float64   `json:"down_bits_per_second"`
	Start             time.Time `json:"start"`
	State             string    `json:"state"` // of TCP, such as "established"; else ""
}

// Remote returns the end of the flow that isn't the device.
func (f *Flow) Remote() (address string, port uint16) {
	if f.Inbound {
		return f.Src, f.SrcPort
	}
	return f.Dst, f.DstPort
}

// Flows are open connections at one reading of the counters.
type Flows struct {
	Read     time.Time `json:"read"`             // when the counters were last read
	Interval float64   `json:"interval_seconds"` // since the reading before it
	Omitted  int       `json:"omitted"`          // connections beyond the limit
	Flows    []Flow    `json:"flows"`
}

// Status describes the service.
type Status struct {
	Version      string                `json:"version"`
	Source       string                `json:"source"`        // of ends: "netlink" or "bpf"
	SourceStep   string                `json:"source_step"`   // how eBPF is attached; else ""
	SourceReason string                `json:"source_reason"` // why eBPF can't be had; else ""
	Dumps        string                `json:"dumps"`         // of living ones, as Source
	DumpsReason  string                `json:"dumps_reason"`  // why eBPF can't be had for them
	Uptime       float64               `json:"uptime_seconds"`
	PollInterval float64               `json:"poll_interval_seconds"` // in force
	Connections  int                   `json:"connections"`
	Devices      int                   `json:"devices"`
	Conditions   []condition.Condition `json:"conditions"` // those that hold
	Collectors   []Collector           `json:"collectors"`
}

// Collector is a destination of records.
type Collector struct {
	Address   string `json:"address"`
	Protocol  string `json:"protocol"`
	Records   uint64 `json:"records"`   // sent
	Datagrams uint64 `json:"datagrams"` // sent
	Dropped   uint64 `json:"dropped"`   // records that could not be sent
	Error     string `json:"error"`     // why it can't be reached now; "" if it can
}

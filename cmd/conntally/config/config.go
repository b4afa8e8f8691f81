// Package config reads the configuration file and the flags of `conntally run`, which
// override it. docs/configuration.md has all keys.
package config

import (
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/conntally/conntally/cmd/internal/logging"
	"github.com/conntally/conntally/cmd/internal/tomlfile"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/regular"
)

// Config is the configuration file: a field is a key, a struct a table. The tag range
// bounds a number; restart says that a reload can't change the key.
type Config struct {
	Collectors []Collector `toml:"collector"`
	Flow       Flow        `toml:"flow"`
	Conntrack  Conntrack   `toml:"conntrack"`
	Filters    []Filter    `toml:"filter"`
	Devices    Devices     `toml:"devices"`
	Named      []Device    `toml:"device"`
	Metrics    Metrics     `toml:"metrics"`
	Control    Control     `toml:"control"`
	Log        Log         `toml:"log"`
}

// Collector is a destination of records. Equal values are the same collector.
type Collector struct {
	Address          Address        `toml:"address"`
	Protocol         Protocol       `toml:"protocol"`
	Source           Source         `toml:"source"`
	Interface        Interface      `toml:"interface"`
	VRF              Interface      `toml:"vrf"`
	MaxDatagram      int            `toml:"max_datagram" range:"512,65507"` // bytes of UDP payload
	TemplateInterval RepeatInterval `toml:"template_interval"`
}

// Flow holds how connections become flows.
type Flow struct {
	ActiveTimeout Duration `toml:"active_timeout"`
	IdleTimeout   Duration `toml:"idle_timeout"`
	NAT           View     `toml:"nat"`
	// 0: as many as the kernel tracks
	MaxFlows int `toml:"max_flows" range:"0,2000000000"`
	// StateDirectory "" is $STATE_DIRECTORY, else no exact restarts.
	StateDirectory string       `toml:"state_directory" restart:"yes"`
	RouteMark      bool         `toml:"route_mark" restart:"yes"`
	Biflow         bool         `toml:"biflow" restart:"yes"`
	NATEvents      bool         `toml:"nat_events" restart:"yes"`
	ExtraFields    []ExtraField `toml:"extra_fields" restart:"yes"`
}

// Conntrack holds how the kernel is read.
type Conntrack struct {
	Ends          EndSource `toml:"source" restart:"yes"`
	PollInterval  Interval  `toml:"poll_interval"`
	MaxCPU        float64   `toml:"max_cpu" range:"0.01,100"` // percent of one core
	ReceiveBuffer Size      `toml:"receive_buffer" restart:"yes"`
	Reliable      bool      `toml:"reliable" restart:"yes"`
	Track         bool      `toml:"track" restart:"yes"`
}

// Filter includes or excludes the connections that match all of its conditions. A
// condition matches any of its values; without values it matches everything.
type Filter struct {
	Action              Action    `toml:"action"`
	Networks            []Network `toml:"networks"`
	SourceNetworks      []Network `toml:"source_networks"`
	DestinationNetworks []Network `toml:"destination_networks"`
	Protocols           []IPProto `toml:"protocols"`
	Ports               []Ports   `toml:"ports"`
	DestinationPorts    []Ports   `toml:"destination_ports"`
	Zones               []uint16  `toml:"zones" range:"0,65535"`
	Marks               []Mark    `toml:"marks"`
	Interfaces          []string  `toml:"interfaces"`
}

// Devices holds what is counted by device, and where devices' names are read.
type Devices struct {
	Enable       bool      `toml:"enable" restart:"yes"`
	Max          int       `toml:"max" range:"1,1000000"` // what finds no room is device "other"
	Networks     []Network `toml:"networks"`              // also inside, though behind an uplink
	Exclude      []Network `toml:"exclude"`               // counted as device "other"
	Leases       []string  `toml:"leases" restart:"yes"`  // "auto", or paths
	OfflineAfter Duration  `toml:"offline_after"`
}

// Device is a device with a name. All of its addresses count as one device.
type Device struct {
	Name    string `toml:"name"`
	MAC     []MAC  `toml:"mac"`
	Address []IP   `toml:"address"`
}

// Metrics holds where metrics are served, and which.
type Metrics struct {
	Listen  Listen `toml:"listen" restart:"yes"`
	Pprof   bool   `toml:"pprof" restart:"yes"`
	Devices bool   `toml:"devices" restart:"yes"` // of each device
	Labels  Labels `toml:"labels" restart:"yes"`  // of all metrics, in addition to their own
}

// Control holds where the control socket is: AutoSocket, or a path; "" is none.
type Control struct {
	Socket string `toml:"socket" restart:"yes"`
}

// AutoSocket stands for the control socket's usual path.
const AutoSocket = "auto"

// Log holds what is logged, and how.
type Log struct {
	Level  Level          `toml:"level"`
	Format logging.Format `toml:"format" restart:"yes"`
}

const (
	defaultPoll     = 10 * time.Second
	defaultDatagram = 1400
	defaultDevices  = 4096
)

// Default returns the configuration without file and flags.
func Default() *Config {
	return &Config{
		Flow: Flow{
			ActiveTimeout: Duration(60 * time.Second),
			IdleTimeout:   Duration(15 * time.Second),
			NAT:           View{flow.Endpoints},
		},
		Conntrack: Conntrack{MaxCPU: 1, ReceiveBuffer: 16 << 20},
		Devices: Devices{
			Enable: true, Max: defaultDevices, Leases: []string{"auto"},
			OfflineAfter: Duration(5 * time.Minute),
		},
		Control: Control{Socket: AutoSocket},
		Log:     Log{Level: Level{Level: zapcore.InfoLevel}},
	}
}

// NewCollector returns a collector with defaults for all but its address.
func NewCollector(address string) Collector {
	return Collector{
		Address: Address(address), MaxDatagram: defaultDatagram,
		TemplateInterval: RepeatInterval(export.DefaultTemplateInterval),
	}
}

// SetDefaults implements tomlfile.Defaulter.
func (c *Collector) SetDefaults() { *c = NewCollector("") }

// Poll is the poll interval as configured, else the default or a shorter timeout:
// nothing can be exported more often than it is read.
func (c *Config) Poll() time.Duration {
	if c.Conntrack.PollInterval != 0 {
		return time.Duration(c.Conntrack.PollInterval)
	}
	return min(defaultPoll, time.Duration(c.Flow.ActiveTimeout), time.Duration(c.Flow.IdleTimeout))
}

// Read reads a file over what c holds. Its error lists every mistake, one a line.
func (c *Config) Read(path string) error {
	text, err := regular.Read(path, tomlfile.MaxSize)
	if err != nil {
		return err
	}
	return tomlfile.Decode(path, text, c)
}

// Changed returns the keys in which c and d differ, such as "[flow] nat": those that a
// reload can change, and those that need a restart.
func (c *Config) Changed(d *Config) (now, restart []string) { return tomlfile.Changed(c, d) }

// Keep takes from a running configuration the keys that need a restart.
func (c *Config) Keep(running *Config) { tomlfile.Keep(running, c) }

// Package config reads what an administrator writes: the configuration file and
// the flags of `conntally run`, which override it. docs/configuration.md has all keys.
package config

import (
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/conntally/conntally/cmd/internal/logging"
	"github.com/conntally/conntally/flow"
)

// Config is the configuration file: a field is a key, a struct a table. The tag range
// bounds a number; restart says that a reload can't change the key.
type Config struct {
	Collectors []Collector `toml:"collector"`
	Flow       Flow        `toml:"flow"`
	Conntrack  Conntrack   `toml:"conntrack"`
	Filters    []Filter    `toml:"filter"`
	Metrics    Metrics     `toml:"metrics"`
	Log        Log         `toml:"log"`
}

// Collector is where to export to, and how. Two that are equal are the same one.
type Collector struct {
	Address     Address  `toml:"address"`
	Protocol    Protocol `toml:"protocol"`
	Source      Source   `toml:"source"`
	MaxDatagram int      `toml:"max_datagram" range:"512,65507"` // bytes of UDP payload
}

// Flow says what becomes of connections.
type Flow struct {
	ActiveTimeout Duration `toml:"active_timeout"`
	IdleTimeout   Duration `toml:"idle_timeout"`
	NAT           View     `toml:"nat"`
	MaxFlows      int      `toml:"max_flows" range:"0,2000000000"` // 0: as many as the kernel tracks
	// StateDirectory "" is $STATE_DIRECTORY, else no exact restarts.
	StateDirectory string       `toml:"state_directory" restart:"yes"`
	RouteMark      bool         `toml:"route_mark" restart:"yes"`
	Biflow         bool         `toml:"biflow" restart:"yes"`
	NATEvents      bool         `toml:"nat_events" restart:"yes"`
	ExtraFields    []ExtraField `toml:"extra_fields" restart:"yes"`
}

// Conntrack says how the kernel is read.
type Conntrack struct {
	PollInterval  Interval `toml:"poll_interval"`
	MaxCPU        float64  `toml:"max_cpu" range:"0.01,100"` // percent of one core
	ReceiveBuffer Size     `toml:"receive_buffer" restart:"yes"`
	Reliable      bool     `toml:"reliable" restart:"yes"`
	Track         bool     `toml:"track" restart:"yes"`
}

// Filter is one rule: what meets all of its conditions is included or excluded. A
// condition is met by any of its values, one that is absent by everything.
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

// Metrics says where Prometheus finds us.
type Metrics struct {
	Listen Listen `toml:"listen" restart:"yes"`
	Pprof  bool   `toml:"pprof" restart:"yes"`
}

// Log says what is logged.
type Log struct {
	Level  Level          `toml:"level"`
	Format logging.Format `toml:"format" restart:"yes"`
}

const (
	defaultPoll     = 10 * time.Second
	defaultDatagram = 1400
)

// Default returns what is in force without file and flags.
func Default() *Config {
	return &Config{
		Flow: Flow{
			ActiveTimeout: Duration(60 * time.Second),
			IdleTimeout:   Duration(15 * time.Second),
			NAT:           View{flow.Endpoints},
		},
		Conntrack: Conntrack{MaxCPU: 1, ReceiveBuffer: 16 << 20},
		Log:       Log{Level: Level{zapcore.InfoLevel}},
	}
}

// NewCollector returns a collector with defaults for all but its address.
func NewCollector(address string) Collector {
	return Collector{Address: Address(address), MaxDatagram: defaultDatagram}
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

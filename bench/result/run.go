// Package result holds what was measured, and draws the conclusions: medians, spreads,
// what a program costs beside a router without one, break-evens, verdicts. It is
// pure: a report is made of saved results alone.
package result

import (
	"encoding/json"
	"os"
	"time"

	"github.com/conntally/conntally/bench/measure"
)

// None is the name of the router without a program.
const None = "none"

// Suite is all that one call has measured.
type Suite struct {
	Date      time.Time
	Machine   measure.Machine
	Programs  []Program
	Scenarios []Scenario
	Runs      []Run
	Skipped   []string // what this machine could not do, and why
	// Emulated reports whether the machine was emulated and a nanosecond is an instruction.
	Emulated bool `json:",omitempty"`
}

// Program is one that was compared.
type Program struct {
	Name, Version, Package, Export string
	Captures                       bool
	Command, Why                   string
}

// Scenario says what varies within one.
type Scenario struct {
	Name, Title, Unit string
	About             string
	Points            []int
}

// Run is one program at one point of one scenario, once. Times are in ns.
type Run struct {
	Scenario string
	X        int // the point
	Program  string
	Repeat   int
	Error    string `json:",omitempty"` // why there is no result

	Window    time.Duration // in which were measured:
	CPU       time.Duration // of the program's processes
	Busy      time.Duration // of the whole machine
	Stolen    time.Duration // by other virtual machines
	Forwarded Sum

	Offered int           // packets per second
	Life    time.Duration // CPU of the program from its start to its end
	Peak    int           // bytes of memory, at most
	// Stall is how long the program's core kept another thread waiting at most, where that was
	// measured.
	Stall time.Duration `json:",omitempty"`
	// Instructions of the program's own, where they were counted.
	Instructions uint64 `json:",omitempty"`

	// From the first packet to the last:
	Router    Sum // counted by nftables on the router
	Sent      Sum // by the hosts
	Flows     int // that were sent
	Collected Collected
	Missed    *Missed `json:",omitempty"` // as it admits; nil = it doesn't say
	Delay     *Delay  `json:",omitempty"`
}

// Sum counts packets and bytes of IP.
type Sum struct{ Packets, Bytes uint64 }

// Collected is what arrived at the collector.
type Collected struct {
	Datagrams, Octets, Records int
	Strangers, Faulty          int
	Sum                        Sum
	Flows                      int  // that there was any record of
	Exact                      int  // whose packets and bytes add up
	Merged                     bool // both directions of a flow in one record
}

// Missed is what a program says itself to have missed.
type Missed struct {
	Count uint64
	Unit  string
}

// Delay is from a flow's last packet to its last record, over the flows that were
// complete before the program was stopped.
type Delay struct {
	Flows       int
	Median, P95 time.Duration
	Most        time.Duration
}

// Save writes the suite as JSON.
func (s *Suite) Save(path string) error {
	b, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// Load reads what Save wrote.
func Load(path string) (*Suite, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := new(Suite)
	return s, json.Unmarshal(b, s)
}

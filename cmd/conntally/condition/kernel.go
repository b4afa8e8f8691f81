package condition

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/conntally/conntally/conntrack/kernel"
)

// Kernel is the state of the kernel in the network namespace of the calling thread.
type Kernel struct {
	Loaded          error // why nf_conntrack's settings can't be read
	Answer          error // kernel.Available's, where asked
	Settings        []kernel.Setting
	Restored        []kernel.Setting // those of them that Enable has turned on
	Entries, Max    int              // of its table
	Buckets         int              // of its hash table; 0: unknown
	Tracked         Tracked
	Flowtables      []kernel.Flowtable // none without nftables
	BridgeNetfilter bool
	Clock           Clock
}

// Tracked is whether connections are tracked.
type Tracked uint8

// Whether they are.
const (
	TrackingUnknown Tracked = iota // it wasn't tested, or can't be tested
	TrackingOn
	TrackingOff
	TrackingDoubted // loopback isn't, where that was tried; but there are connections
)

// Ask is what to ask the kernel for in addition to its settings.
type Ask struct {
	Enable     bool // turn on what counting depends on
	ByBPF      bool // eBPF reports ends: it doesn't matter whether the kernel's events are on
	Available  bool // whether conntrack can be read
	Tracking   bool // whether a datagram on loopback is tracked
	Flowtables bool // which loads nftables
}

// ReadKernel asks the kernel.
func ReadKernel(ask Ask) *Kernel {
	k := &Kernel{Clock: readClock(), BridgeNetfilter: bridgeNetfilter()}
	if _, k.Loaded = kernel.ReadSysctl("acct"); k.Loaded != nil {
		// A container may hide the settings. Asking loads the module where it may.
		if k.Loaded = os.ErrNotExist; ask.Enable {
			k.Loaded = kernel.Available()
		}
		return k
	}
	k.Max, _ = kernel.ReadSysctl("max") // 0 is no limit, or none that is known
	k.Entries, _ = kernel.ReadSysctl("count")
	k.Buckets, _ = kernel.ReadSysctl("buckets")
	k.Settings = kernel.Settings(!ask.ByBPF)
	if ask.Enable {
		k.enable()
	}
	if ask.Available {
		k.Answer = kernel.Available()
	}
	if ask.Tracking && k.Answer == nil {
		k.Tracked = tracking(k.Entries)
	}
	if ask.Flowtables {
		k.Flowtables, _ = kernel.Flowtables()
	}
	return k
}

// enable turns on the settings that are off.
func (k *Kernel) enable() {
	kernel.Enable(k.Settings)
	for i := range k.Settings {
		if s := &k.Settings[i]; s.Changed() {
			k.Restored = append(k.Restored, *s)
			s.Was = s.Want
		}
	}
}

func tracking(entries int) Tracked {
	on, err := kernel.Tracking()
	switch {
	case err != nil:
		return TrackingUnknown
	case on:
		return TrackingOn
	case entries > 0: // a rule may exempt loopback
		return TrackingDoubted
	}
	return TrackingOff
}

// bridgeNetfilter reports whether bridged IP packets pass through netfilter's hooks, and
// whether there is a bridge with two ports, of which one could forward to the other.
func bridgeNetfilter() bool {
	on := slices.ContainsFunc([]string{"iptables", "ip6tables"}, func(name string) bool {
		b, err := os.ReadFile("/proc/sys/net/bridge/bridge-nf-call-" + name)
		return err == nil && strings.TrimSpace(string(b)) == "1"
	})
	if !on {
		return false
	}
	ports, _ := filepath.Glob("/sys/class/net/*/brport/bridge") // the pattern is a good one
	return len(ports) >= 2
}

// OfKernel lists the conditions that a Kernel can show.
func OfKernel() []ID {
	return []ID{
		ConntrackMissing, NetlinkMissing, AcctOff, TimestampOff, EventsOff, EventsAuto, NotTracked,
		FlowtableSilent, KernelTableFull, BridgeNetfilter, ClockUnset, ClockUnsynced,
	}
}

// Conditions returns those of OfKernel that hold.
func (k *Kernel) Conditions() []Condition {
	list := k.ofClock()
	if k.BridgeNetfilter {
		list = append(list, Condition{ID: BridgeNetfilter})
	}
	switch {
	case k.Loaded != nil:
		return append(list, Condition{ID: ConntrackMissing})
	case errors.Is(k.Answer, kernel.ErrNotLoaded):
		list = append(list, Condition{ID: NetlinkMissing})
	}
	list = append(list, k.ofSettings()...)
	if k.Tracked == TrackingOff {
		list = append(list, Condition{ID: NotTracked})
	}
	return append(append(list, k.ofFlowtables()...), k.ofTable()...)
}

// ofSettings returns the conditions of settings that are not as wanted. A setting that this
// kernel lacks is no condition.
func (k *Kernel) ofSettings() (list []Condition) {
	for _, s := range k.Settings {
		if s.Was == s.Want || errors.Is(s.Err, os.ErrNotExist) {
			continue
		}
		c := Condition{ID: EventsAuto, Fix: s.Command()}
		switch {
		case strings.HasSuffix(s.Name, "_acct"):
			c.ID = AcctOff
		case strings.HasSuffix(s.Name, "_timestamp"):
			c.ID = TimestampOff
		case s.Was == 0:
			c.ID = EventsOff
		}
		if s.Err != nil {
			c.Detail = s.Err.Error()
		}
		list = append(list, c)
	}
	return list
}

// CountsOffloaded reports whether every flowtable counts what it forwards.
func (k *Kernel) CountsOffloaded() bool {
	return !slices.ContainsFunc(k.Flowtables, func(f kernel.Flowtable) bool { return !f.Counter })
}

func (k *Kernel) ofFlowtables() (list []Condition) {
	for _, t := range k.Flowtables {
		if !t.Counter {
			list = append(list, Condition{ID: FlowtableSilent, Subject: t.Table + " " + t.Name,
				Fix: t.Command()})
		}
	}
	return list
}

// tableFull is the share of nf_conntrack_max, in percent, from which on the table counts as
// full.
const tableFull = 80

func (k *Kernel) ofTable() []Condition {
	if k.Max <= 0 { // no limit
		return nil
	}
	percent := int64(k.Entries) * 100 / int64(k.Max) // an int of 32 bits would overflow
	if percent < tableFull {
		return nil
	}
	return []Condition{{
		ID:     KernelTableFull,
		Detail: fmt.Sprintf("%d of %d connections, %d %%", k.Entries, k.Max, percent),
		Fix: fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d",
			min(2*int64(k.Max), math.MaxInt32)),
	}}
}

// OfEntries returns the conditions that the entries of a dump show.
func OfEntries(s *kernel.EntryStats) []Condition {
	if s.Uncounted == 0 {
		return nil
	}
	return []Condition{{ID: Uncounted, Detail: fmt.Sprintf("%d of %d", s.Uncounted, s.Entries)}}
}

// Frozen returns the condition of offloaded entries, of which met were seen twice and moved
// counted something in between.
func Frozen(met, moved int) []Condition {
	if met == 0 || moved > 0 {
		return nil
	}
	return []Condition{{ID: OffloadFrozen, Detail: fmt.Sprintf("%d of them", met)}}
}

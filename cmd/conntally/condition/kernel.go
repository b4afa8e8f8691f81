package condition

import "github.com/conntally/conntally/conntrack/kernel"

// Kernel is what the kernel says of itself, in the calling thread's network namespace.
type Kernel struct {
	Settings []kernel.Setting
}

// ReadKernel reads it.
func ReadKernel() *Kernel {
	return &Kernel{Settings: kernel.Settings()}
}

// OfKernel lists the conditions that a Kernel tells of.
func OfKernel() []ID { return []ID{AcctOff, TimestampOff, EventsOff, EventsAuto} }

// Conditions returns those of OfKernel that hold.
func (k *Kernel) Conditions() []Condition {
	var list []Condition
	for _, s := range k.Settings {
		if id := ofSetting(&s); id != "" {
			list = append(list, Condition{ID: id})
		}
	}
	return list
}

// ofSetting returns the condition of a setting that isn't as wanted. One that this kernel
// lacks, or that can't be read, is none.
func ofSetting(s *kernel.Setting) ID {
	if s.Err != nil || s.Was == s.Want {
		return ""
	}
	switch s.Name {
	case "net.netfilter.nf_conntrack_acct":
		return AcctOff
	case "net.netfilter.nf_conntrack_timestamp":
		return TimestampOff
	case "net.netfilter.nf_conntrack_events":
		if s.Was != 0 {
			return EventsAuto
		}
		return EventsOff
	}
	return ""
}

package route

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// state is all that rtnetlink has told. The same messages come as the answer to a
// dump and as notifications.
type state struct {
	devices   map[uint32]device
	addresses map[address]struct{}
	policy
}

// policy is what of rules and routes decides how a question for a route has to be
// asked, and which answers hold for more than one address.
type policy struct {
	atoms     atoms
	uplinks   map[uint32]bool
	sources   []prefix // by which a rule or a route chooses
	inputs    []string // interfaces by which a rule chooses
	multipath bool
}

func newState() state {
	return state{devices: map[uint32]device{}, addresses: map[address]struct{}{}, policy: newPolicy()}
}

func newPolicy() policy { return policy{uplinks: map[uint32]bool{}} }

// effect is what a notification makes of what is known.
type effect uint8

const (
	changed  effect = 1 << iota // routes may lead elsewhere
	outdated                    // the policy is to be read anew
)

// apply takes a message in. One that is of no interest has no effect.
func (s *state) apply(m *message) (effect, error) {
	switch m.typ {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		return s.applyDevice(m)
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		return s.applyAddress(m)
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		return s.applyRoute(m)
	case unix.RTM_NEWRULE, unix.RTM_DELRULE:
		return s.applyRule(m)
	case unix.RTM_NEWNEXTHOP, unix.RTM_DELNEXTHOP: // IPv4 routes go with one without a notification
		return changed | outdated, nil
	}
	return 0, nil
}

// applyDevice heeds that the routes of an uplink that goes down, or loses its carrier, go
// without a notification.
func (s *state) applyDevice(m *message) (effect, error) {
	d, ok, err := decodeDevice(m)
	if !ok {
		return 0, err
	}
	old, known := s.devices[d.index]
	if m.typ == unix.RTM_DELLINK {
		delete(s.devices, d.index)
		d.carries = 0
	} else {
		s.devices[d.index] = d
	}
	switch {
	case s.uplinks[d.index] && old.carries&^d.carries != 0:
		return changed | outdated, nil
	case m.typ == unix.RTM_NEWLINK && known && old == d:
		return 0, nil
	}
	return changed, nil
}

func (s *state) applyAddress(m *message) (effect, error) {
	a, err := decodeAddress(m)
	if err != nil {
		return 0, err
	}
	_, known := s.addresses[a]
	if m.typ == unix.RTM_DELADDR {
		delete(s.addresses, a)
		if isMapped(&a.addr) { // routes go with an interface's last one, and with their source
			return changed | outdated, nil
		}
		return changed, nil
	}
	if known {
		return 0, nil // its lifetime was renewed
	}
	s.addresses[a] = struct{}{}
	return changed, nil
}

// applyRoute doesn't mend what a route that goes leaves behind: atoms that are finer
// than need be.
func (s *state) applyRoute(m *message) (effect, error) {
	r, ok, err := decodeRoute(m)
	if !ok {
		return 0, err
	}
	if m.typ == unix.RTM_NEWROUTE {
		s.addRoute(&r)
	}
	if r.isDefault() {
		return changed | outdated, nil
	}
	return changed, nil
}

func (p *policy) addRoute(r *route) {
	p.atoms.add(&r.to)
	p.addSource(r.from)
	if r.isDefault() {
		for _, index := range r.out {
			p.uplinks[index] = true
		}
	}
	p.multipath = p.multipath || len(r.out) > 1 || r.object && len(r.out) == 0
}

func (p *policy) addSource(from prefix) {
	if from.narrow() && !slices.Contains(p.sources, from) {
		p.sources = append(p.sources, from)
	}
}

func (s *state) applyRule(m *message) (effect, error) {
	r, ok, err := decodeRule(m)
	if !ok {
		return 0, err
	}
	if m.typ == unix.RTM_NEWRULE {
		s.atoms.add(&r.to)
		s.addSource(r.from)
		if r.in != "" && !slices.Contains(s.inputs, r.in) {
			s.inputs = append(s.inputs, r.in)
		}
	}
	return changed | outdated, nil
}

// owners returns the interface of each local address, or 0 where it is not the only
// one, as with link-local addresses of VLANs.
func (s *state) owners() map[conntrack.Addr]uint32 {
	owners := make(map[conntrack.Addr]uint32, len(s.addresses))
	for a := range s.addresses {
		if other, known := owners[a.addr]; known && other != a.index {
			owners[a.addr] = 0
		} else {
			owners[a.addr] = a.index
		}
	}
	return owners
}

package route

import (
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// state is all that rtnetlink has reported. The same messages come as the answer to a
// dump and as notifications.
type state struct {
	devices    map[uint32]device
	addresses  map[address]struct{}
	multicast  map[multicastKey]multicastRoute
	policy     policy
	redescribe bool // the description in the view is outdated
}

type multicastKey struct {
	stream
	table uint32
}

// policy is the part of rules and routes that decides how a route has to be asked for, and
// which other questions have the same answer.
type policy struct {
	atoms    atoms
	uplinks  map[uint32]bool
	bySender bool // routes depend on who sends, and by which interface it comes in
	byFlow   bool // and on each connection: several next hops, rules by port
}

func newState() state {
	s := state{
		devices: map[uint32]device{}, addresses: map[address]struct{}{},
		multicast: map[multicastKey]multicastRoute{},
		policy:    policy{uplinks: map[uint32]bool{}}, redescribe: true,
	}
	for i := range kernelClasses {
		s.policy.atoms.add(&kernelClasses[i])
	}
	return s
}

// kernelClasses are the networks that the kernel decides about by address, whatever
// routes there are (ip_route_input_slow, ip_route_output_key_hash_rcu,
// ip6_route_input_lookup).
var kernelClasses = []prefix{
	everything(unix.AF_INET, 0),
	{conntrack.Addr{10: 0xff, 11: 0xff}, mappedBits + 8},          // 0.0.0.0/8
	{conntrack.Addr{10: 0xff, 11: 0xff}, mappedBits + 32},         // 0.0.0.0
	{conntrack.Addr{10: 0xff, 11: 0xff, 12: 127}, mappedBits + 8}, // 127.0.0.0/8
	{conntrack.Addr{10: 0xff, 11: 0xff, 12: 224}, mappedBits + 4}, // 224.0.0.0/4
	{conntrack.Addr{10: 0xff, 11: 0xff, 12: 240}, mappedBits + 4}, // 240.0.0.0/4
	// 255.255.255.255
	{conntrack.Addr{10: 0xff, 11: 0xff, 12: 255, 13: 255, 14: 255, 15: 255}, mappedBits + 32},
	{conntrack.Addr{}, 128},                // ::
	{conntrack.Addr{15: 1}, 128},           // ::1
	{conntrack.Addr{0: 0xfe, 1: 0x80}, 10}, // fe80::/10
	{conntrack.Addr{0: 0xff}, 8},           // ff00::/8
}

// effect is how a message changes the state.
type effect struct {
	changed  bool // routes may lead elsewhere: those that scope concerns
	outdated bool // the policy is to be read again
	scope    scope
}

// apply applies a message. One that is of no interest has no effect.
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
		return effect{changed: true, outdated: true}, nil
	case unix.RTM_NEWNETCONF: // forwarding, the reverse path filter
		return effect{changed: true}, nil
	}
	return effect{}, nil
}

// applyDevice takes into account that the routes of an uplink that goes down, or loses
// its carrier, go without a notification.
func (s *state) applyDevice(m *message) (effect, error) {
	d, ok, err := decodeDevice(m.body)
	if !ok {
		return effect{}, err
	}
	old, known := s.devices[d.index]
	if m.typ == unix.RTM_NEWLINK && known && old == d {
		return effect{}, nil
	}
	s.redescribe = true
	if m.typ == unix.RTM_DELLINK {
		delete(s.devices, d.index)
		d.carries = 0
	} else {
		s.devices[d.index] = d
	}
	lost := old.carries&^d.carries != 0
	return effect{changed: true, outdated: lost && s.policy.uplinks[d.index],
		scope: scope{device: d.index}}, nil
}

func (s *state) applyAddress(m *message) (effect, error) {
	if len(m.body) < unix.SizeofIfAddrmsg {
		return effect{}, errMalformed
	}
	if !isIP(m.body[0]) { // of Phonet or MCTP, which dumps show too
		return effect{}, nil
	}
	a, err := decodeAddress(m.body)
	if err != nil || a.addr.IsUnspecified() {
		return effect{}, err
	}
	_, known := s.addresses[a]
	e := effect{changed: true, scope: scope{device: a.index}}
	if m.typ == unix.RTM_DELADDR {
		delete(s.addresses, a)
		// routes vanish with an interface's last address, and with their source address
		e.outdated = isMapped(&a.addr)
	} else if known {
		return effect{}, nil // its lifetime was renewed
	} else {
		s.addresses[a] = struct{}{}
	}
	s.redescribe = true
	return e, nil
}

// applyRoute keeps the edges of a deleted route: finer atoms than necessary do no harm.
func (s *state) applyRoute(m *message) (effect, error) {
	switch {
	case len(m.body) < unix.SizeofRtMsg:
		return effect{}, errMalformed
	case m.body[0] == familyIPMR || m.body[0] == familyIP6MR:
		return s.applyMulticastRoute(m)
	case !isIP(m.body[0]):
		return effect{}, nil
	}
	r, err := decodeRoute(m.body)
	if err != nil {
		return effect{}, err
	}
	if m.typ == unix.RTM_NEWROUTE {
		s.redescribe = s.policy.addRoute(&r) || s.redescribe
	}
	return effect{changed: true, outdated: r.isDefault(), scope: scope{to: r.to}}, nil
}

func (s *state) applyMulticastRoute(m *message) (effect, error) {
	r, err := decodeMulticastRoute(m.body)
	if err != nil {
		return effect{}, err
	}
	k := multicastKey{r.stream, r.table}
	old, known := s.multicast[k]
	switch {
	case m.typ == unix.RTM_DELROUTE || r.in == 0 || len(r.out) == 0: // gone, or not resolved yet
		delete(s.multicast, k)
		if !known {
			return effect{}, nil
		}
	case known && old.in == r.in && old.out[0] == r.out[0]:
		return effect{}, nil
	default:
		s.multicast[k] = r
	}
	s.redescribe = true
	return effect{changed: true, scope: scope{to: prefix{r.to, 128}}}, nil
}

// addRoute reports whether there is another uplink.
func (p *policy) addRoute(r *route) (uplink bool) {
	p.atoms.add(&r.to)
	p.addSource(&r.from)
	p.byFlow = p.byFlow || len(r.out) > 1 || r.object && len(r.out) == 0
	if r.isDefault() {
		for _, index := range r.out {
			uplink = uplink || !p.uplinks[index]
			p.uplinks[index] = true
		}
	}
	return uplink
}

func (p *policy) addSource(from *prefix) {
	if from.narrow() {
		p.atoms.add(from)
		p.bySender = true
	}
}

func (s *state) applyRule(m *message) (effect, error) {
	if len(m.body) < unix.SizeofRtMsg {
		return effect{}, errMalformed
	}
	if !isIP(m.body[0]) {
		return effect{}, nil
	}
	r, err := decodeRule(m.body)
	if err != nil {
		return effect{}, err
	}
	if m.typ == unix.RTM_NEWRULE {
		s.policy.atoms.add(&r.to)
		s.policy.addSource(&r.from)
		s.policy.bySender = s.policy.bySender || r.input
		s.policy.byFlow = s.policy.byFlow || r.ports
	}
	return effect{changed: true, outdated: true}, nil
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

// broadcasts returns the broadcast addresses of the router's IPv4 networks (fib_add_ifaddr).
func (s *state) broadcasts() map[conntrack.Addr]bool {
	all := make(map[conntrack.Addr]bool, len(s.addresses))
	for a := range s.addresses {
		if !isMapped(&a.addr) {
			continue
		}
		if a.broadcast != (conntrack.Addr{}) {
			all[a.broadcast] = true
		}
		if a.bits < 31 { // smaller networks have none (RFC 3021)
			network := prefix{a.network, mappedBits + a.bits}
			all[network.last().addr()] = true
		}
	}
	return all
}

package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sort"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// InterfacesByZone returns the names of the interfaces whose packets nftables puts into
// each conntrack zone, in the calling thread's network namespace: conntrack itself keeps
// none. It understands rules such as `iifname "lan1" ct original zone set 11` and
// `ct zone set iifname map @zones`, in chains that packets pass before conntrack. What isn't an
// exact name, such as "lan*", stands for the links that there are now, but for the loopback.
func InterfacesByZone() (map[uint16][]string, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("nftables: %w", err)
	}
	chains, err := conn.ListChains()
	if err != nil {
		return nil, fmt.Errorf("nftables: %w", err)
	}
	raw, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("nftables: %w", err)
	}
	defer raw.Close()
	zones := zoneReader{conn: conn, zones: map[uint16][]string{}}
	if zones.links, err = linkNames(); err != nil {
		return nil, err
	}
	for _, c := range chains {
		if c.Hooknum == nil || *c.Hooknum != *nftables.ChainHookPrerouting || c.Priority == nil ||
			*c.Priority >= *nftables.ChainPriorityConntrack {
			continue
		}
		rules, err := raw.Execute(nfMessage(nftType(unix.NFT_MSG_GETRULE), netlink.Dump,
			uint8(c.Table.Family), func(a *netlink.AttributeEncoder) {
				a.String(unix.NFTA_RULE_TABLE, c.Table.Name)
				a.String(unix.NFTA_RULE_CHAIN, c.Name)
			}))
		if err != nil {
			return nil, fmt.Errorf("nftables: %w", err)
		}
		for _, r := range rules {
			if err := zones.addRule(c.Table, r.Data); err != nil {
				return nil, fmt.Errorf("nftables: %w", err)
			}
		}
	}
	return zones.zones, nil
}

// linkNames returns the names of all links but the loopback: what comes from there is local.
func linkNames() (names []string, err error) {
	links, err := net.Interfaces()
	for i := range links {
		if links[i].Flags&net.FlagLoopback == 0 {
			names = append(names, links[i].Name)
		}
	}
	return names, err
}

type zoneReader struct {
	conn  *nftables.Conn
	links []string
	zones map[uint16][]string
}

// addRule takes a rule message. The library can't read it: it takes the direction of a
// ct expression for 32 bits.
func (z *zoneReader) addRule(table *nftables.Table, b []byte) error {
	if len(b) < nfgenmsgLen {
		return errMalformed
	}
	rule := zoneRule{}
	a, err := netlink.NewAttributeDecoder(b[nfgenmsgLen:])
	if err != nil {
		return err
	}
	for a.Next() {
		if a.Type() != unix.NFTA_RULE_EXPRESSIONS {
			continue
		}
		a.Nested(func(list *netlink.AttributeDecoder) error {
			for list.Next() {
				list.Nested(rule.follow)
			}
			return nil
		})
	}
	if a.Err() != nil || !rule.setsZone || len(rule.tests) == 0 {
		return a.Err()
	}
	return z.add(table, &rule)
}

// zoneRule is how the expressions of a rule test the interface's name, and what they set the zone
// to.
type zoneRule struct {
	isName   bool // the register holds the name
	tests    []nameTest
	loaded   zoneValue // what the register holds otherwise
	zone     zoneValue
	setsZone bool
}

// zoneValue is a value, or that which a map has for the name.
type zoneValue struct {
	value  []byte
	mapped string
}

// nameTest is one of an interface's name: it begins with a prefix, or is in a set or map. The
// prefix of an exact name includes the NULs behind it.
type nameTest struct {
	prefix []byte
	set    string
	not    bool
}

// follow reads an expression: its kind, and then its parts.
func (r *zoneRule) follow(a *netlink.AttributeDecoder) error {
	kind := ""
	for a.Next() {
		switch a.Type() {
		case unix.NFTA_EXPR_NAME:
			kind = a.String()
		case unix.NFTA_EXPR_DATA:
			parts := map[uint16][]byte{}
			a.Nested(func(part *netlink.AttributeDecoder) error {
				for part.Next() {
					parts[part.Type()] = part.Bytes()
				}
				return nil
			})
			r.step(kind, parts)
		}
	}
	return nil
}

func (r *zoneRule) step(kind string, parts map[uint16][]byte) {
	switch kind {
	case "meta":
		r.load(zoneValue{})
		r.isName = number(parts[unix.NFTA_META_KEY]) == unix.NFT_META_IIFNAME &&
			parts[unix.NFTA_META_DREG] != nil
	case "cmp":
		op := number(parts[unix.NFTA_CMP_OP])
		if r.isName && (op == unix.NFT_CMP_EQ || op == unix.NFT_CMP_NEQ) {
			r.tests = append(r.tests, nameTest{
				prefix: value(parts[unix.NFTA_CMP_DATA]), not: op == unix.NFT_CMP_NEQ,
			})
		}
	case "immediate":
		r.load(zoneValue{value: value(parts[unix.NFTA_IMMEDIATE_DATA])})
	case "lookup":
		r.lookup(parts)
	case "ct":
		if parts[unix.NFTA_CT_SREG] == nil {
			r.load(zoneValue{})
		} else if number(parts[unix.NFTA_CT_KEY]) == unix.NFT_CT_ZONE {
			r.setsZone, r.zone = true, r.loaded
		}
	default: // it may load something else
		r.load(zoneValue{})
	}
}

// load puts something else than the name into the register.
func (r *zoneRule) load(v zoneValue) { r.isName, r.loaded = false, v }

// lookup looks for what the register holds in a set, or replaces it by what a map has for it.
func (r *zoneRule) lookup(parts map[uint16][]byte) {
	t, isName := nameTest{set: text(parts[unix.NFTA_LOOKUP_SET])}, r.isName
	if parts[unix.NFTA_LOOKUP_DREG] == nil {
		t.not = number(parts[unix.NFTA_LOOKUP_FLAGS])&unix.NFT_LOOKUP_F_INV != 0
	} else if r.load(zoneValue{}); isName {
		r.load(zoneValue{mapped: t.set})
	}
	if isName {
		r.tests = append(r.tests, t)
	}
}

// number reads a part of an expression, 0 where there is none.
func number(b []byte) uint32 {
	if len(b) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

// value reads struct nft_data, as netlink nests it.
func value(b []byte) (v []byte) {
	a, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return nil
	}
	for a.Next() {
		if a.Type() == unix.NFTA_DATA_VALUE {
			v = a.Bytes()
		}
	}
	return v
}

// add finds the names that pass all tests of a rule, of links and of those that it mentions.
func (z *zoneReader) add(table *nftables.Table, r *zoneRule) error {
	names, sets := slices.Clone(z.links), map[string]*nameSet{}
	for _, t := range r.tests {
		if t.set == "" {
			if !t.not && bytes.IndexByte(t.prefix, 0) > 0 {
				names = append(names, text(t.prefix))
			}
			continue
		}
		set, err := z.readSet(table, t.set)
		if err != nil {
			return err
		}
		sets[t.set] = set
		if !t.not {
			names = append(names, set.exact()...)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if !r.passes(name, sets) {
			continue
		}
		zone := r.zone.value
		if r.zone.mapped != "" {
			zone = sets[r.zone.mapped].find(name).Val
		}
		z.put(zone, name)
	}
	return nil
}

func (r *zoneRule) passes(name string, sets map[string]*nameSet) bool {
	for _, t := range r.tests {
		is := t.set == "" && bytes.HasPrefix(padded(name), t.prefix) ||
			t.set != "" && sets[t.set].find(name) != nil
		if is == t.not {
			return false
		}
	}
	return true
}

// nameSet is a set or map of names. Its elements are sorted.
type nameSet struct {
	intervals bool
	elements  []nftables.SetElement
}

func (z *zoneReader) readSet(table *nftables.Table, name string) (*nameSet, error) {
	set, err := z.conn.GetSetByName(table, name)
	if err != nil {
		return nil, err
	}
	elements, err := z.conn.GetSetElements(set)
	slices.SortFunc(elements, func(a, b nftables.SetElement) int {
		order := bytes.Compare(a.Key, b.Key)
		if order == 0 && a.IntervalEnd != b.IntervalEnd {
			order = 1
			if a.IntervalEnd {
				order = -1 // where one interval ends, another may begin
			}
		}
		return order
	})
	return &nameSet{set.Interval, elements}, err
}

// exact returns the names in the set, but none of a set of intervals, where "lan*" begins with
// "lan".
func (s *nameSet) exact() (names []string) {
	for i := range s.elements {
		if !s.intervals {
			names = append(names, text(s.elements[i].Key))
		}
	}
	return names
}

// find returns the element that has a name, or nil. An interval ends where the next one begins, or
// at an element that says so. One without a key ("*") has all names that no other has.
func (s *nameSet) find(name string) *nftables.SetElement {
	key := padded(name)
	behind := sort.Search(len(s.elements), func(i int) bool {
		return bytes.Compare(s.elements[i].Key, key) > 0
	})
	if behind == 0 {
		return nil
	}
	e := &s.elements[behind-1]
	if !e.IntervalEnd && (s.intervals || bytes.Equal(e.Key, key)) {
		return e
	}
	if rest := &s.elements[0]; len(rest.Key) == 0 {
		return rest
	}
	return nil
}

func (z *zoneReader) put(zone []byte, name string) {
	if len(zone) < 2 || name == "" {
		return
	}
	id := binary.NativeEndian.Uint16(zone)
	z.zones[id] = append(z.zones[id], name)
}

// padded returns a name as nftables compares it.
func padded(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

// text reads a name that NULs fill up.
func text(b []byte) string {
	name, _, _ := bytes.Cut(b, []byte{0})
	return string(name)
}

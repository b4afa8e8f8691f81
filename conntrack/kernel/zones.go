package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// InterfacesByZone returns the names of the interfaces whose packets nftables puts into
// each conntrack zone, in the calling thread's network namespace: conntrack itself keeps
// none. It understands rules such as `iifname "lan1" ct original zone set 11` and
// `ct zone set iifname map @zones`, in chains that packets pass before conntrack.
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

type zoneReader struct {
	conn  *nftables.Conn
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
	switch {
	case a.Err() != nil || !rule.setsZone:
		return a.Err()
	case rule.mapped != "":
		return z.addMap(table, rule.mapped)
	}
	z.put(rule.value, rule.name)
	return nil
}

// zoneRule is what the expressions of a rule compare the interface's name with, and what
// they set the zone to.
type zoneRule struct {
	isName   bool // the register holds the name
	name     string
	value    []byte
	mapped   string // the map that has the value
	setsZone bool
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
		r.isName = number(parts[unix.NFTA_META_KEY]) == unix.NFT_META_IIFNAME &&
			parts[unix.NFTA_META_DREG] != nil
	case "cmp":
		if r.isName && number(parts[unix.NFTA_CMP_OP]) == unix.NFT_CMP_EQ {
			r.name = text(value(parts[unix.NFTA_CMP_DATA]))
		}
	case "immediate":
		r.value = value(parts[unix.NFTA_IMMEDIATE_DATA])
	case "lookup":
		if r.isName && parts[unix.NFTA_LOOKUP_DREG] != nil {
			r.mapped = text(parts[unix.NFTA_LOOKUP_SET])
		}
	case "ct":
		r.setsZone = r.setsZone ||
			number(parts[unix.NFTA_CT_KEY]) == unix.NFT_CT_ZONE && parts[unix.NFTA_CT_SREG] != nil
	default: // it may load something else
		r.isName = false
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

// addMap takes a map from names to zones.
func (z *zoneReader) addMap(table *nftables.Table, name string) error {
	set, err := z.conn.GetSetByName(table, name)
	if err != nil {
		return err
	}
	elements, err := z.conn.GetSetElements(set)
	for i := range elements {
		z.put(elements[i].Val, text(elements[i].Key))
	}
	return err
}

func (z *zoneReader) put(zone []byte, name string) {
	if len(zone) < 2 || name == "" {
		return
	}
	id := binary.NativeEndian.Uint16(zone)
	z.zones[id] = append(z.zones[id], name)
}

// text reads a name that NULs fill up.
func text(b []byte) string {
	name, _, _ := bytes.Cut(b, []byte{0})
	return string(name)
}

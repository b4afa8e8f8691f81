package lab

import (
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

const (
	tableName  = "lab"
	strayName  = "stray"
	onRegister = 1
)

// ruleset writes one table of one namespace. Nothing happens before flush.
type ruleset struct {
	conn  *nftables.Conn
	table *nftables.Table
}

func newRuleset(n *Namespace) (*ruleset, error) {
	conn, err := nftables.New(nftables.WithNetNSFd(n.FD()))
	if err != nil {
		return nil, err
	}
	table := conn.AddTable(labTable())
	return &ruleset{conn, table}, nil
}

func labTable() *nftables.Table {
	return &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet}
}

// routerRules translates and counts.
func routerRules(n *Namespace) error {
	r, err := newRuleset(n)
	if err != nil {
		return err
	}
	r.translate()
	r.countForwarded()
	if err := r.conn.Flush(); err != nil {
		return fmt.Errorf("lab: router's nftables: %w", err)
	}
	return nil
}

// hostRules counts what the host sends, and drops what a deaf one receives. It
// doesn't make the host track.
func hostRules(n *Namespace, deaf bool) error {
	r, err := newRuleset(n)
	if err != nil {
		return err
	}
	chain := r.chain("output", nftables.ChainTypeFilter, nftables.ChainHookOutput,
		nftables.ChainPriorityFilter)
	out := named(expr.MetaKeyOIFNAME, HostInterface)
	for _, m := range meters(HostInterface) {
		r.count(chain, m.name(), out, m.class.exprs())
	}
	if deaf {
		pre := r.chain("prerouting", nftables.ChainTypeFilter, nftables.ChainHookPrerouting,
			nftables.ChainPriorityRaw)
		r.rule(pre, named(expr.MetaKeyIIFNAME, HostInterface),
			[]expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}})
	}
	if err := r.conn.Flush(); err != nil {
		return fmt.Errorf("lab: host's nftables: %w", err)
	}
	return nil
}

func (r *ruleset) chain(name string, kind nftables.ChainType, hook *nftables.ChainHook,
	priority *nftables.ChainPriority) *nftables.Chain {
	return r.conn.AddChain(&nftables.Chain{
		Name: name, Table: r.table, Type: kind, Hooknum: hook, Priority: priority,
	})
}

func (r *ruleset) rule(chain *nftables.Chain, parts ...[]expr.Any) {
	var exprs []expr.Any
	for _, p := range parts {
		exprs = append(exprs, p...)
	}
	r.conn.AddRule(&nftables.Rule{Table: r.table, Chain: chain, Exprs: exprs})
}

func (r *ruleset) translate() {
	post := r.chain("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting,
		nftables.ChainPriorityNATSource)
	r.rule(post, named(expr.MetaKeyOIFNAME, string(WAN)),
		proto(expr.MetaKeyNFPROTO, unix.NFPROTO_IPV4), sourceNAT())

	pre := r.chain("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting,
		nftables.ChainPriorityNATDest)
	r.rule(pre, named(expr.MetaKeyIIFNAME, string(WAN)),
		proto(expr.MetaKeyNFPROTO, unix.NFPROTO_IPV4), proto(expr.MetaKeyL4PROTO, unix.IPPROTO_TCP),
		payload(expr.PayloadBaseNetworkHeader, 16, bytesOf(RouterWANIPv4)), // daddr
		payload(expr.PayloadBaseTransportHeader, 2, bigEndian(PortForward)),
		destinationNAT())
}

// countForwarded counts what conntrack counts, and all the rest as stray.
func (r *ruleset) countForwarded() {
	chain := r.chain("forward", nftables.ChainTypeFilter, nftables.ChainHookForward,
		nftables.ChainPriorityFilter)
	for _, side := range sides() {
		in := named(expr.MetaKeyIIFNAME, string(side))
		for _, m := range meters(string(side)) {
			r.count(chain, m.name(), in, m.class.exprs(), tracked())
		}
	}
	r.count(chain, strayName)
}

// count makes a named counter of what matches; it goes no further in the chain.
func (r *ruleset) count(chain *nftables.Chain, name string, matches ...[]expr.Any) {
	r.conn.AddObj(&nftables.CounterObj{Table: r.table, Name: name})
	r.rule(chain, append(matches, []expr.Any{
		&expr.Objref{Type: unix.NFT_OBJECT_COUNTER, Name: name},
		&expr.Verdict{Kind: expr.VerdictAccept},
	})...)
}

func sourceNAT() []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: onRegister, Data: bytesOf(RouterWANIPv4)},
		&expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: onRegister},
	}
}

func destinationNAT() []expr.Any {
	const portRegister = 2
	return []expr.Any{
		&expr.Immediate{Register: onRegister, Data: bytesOf(ClientIPv4)},
		&expr.Immediate{Register: portRegister, Data: bigEndian(PortTCP)},
		&expr.NAT{
			Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4,
			RegAddrMin: onRegister, RegProtoMin: portRegister, Specified: true,
		},
	}
}

// exprs matches the class; of ICMP, echo requests and replies alone.
func (c Class) exprs() []expr.Any {
	return append(proto(expr.MetaKeyNFPROTO, nfproto(c.Family)), c.protocol()...)
}

// protocol is the part of exprs that follows the family.
func (c Class) protocol() []expr.Any {
	exprs := proto(expr.MetaKeyL4PROTO, c.Proto)
	switch c.Proto {
	case unix.IPPROTO_ICMP: // types 0 and 8
		return append(exprs, icmpType(^uint8(8), 0)...)
	case unix.IPPROTO_ICMPV6: // types 128 and 129
		return append(exprs, icmpType(^uint8(1), 128)...)
	}
	return exprs
}

// tracked matches packets that conntrack counts: ct state new or established.
// It leaves out related ICMP errors, invalid packets and untracked ones.
func tracked() []expr.Any {
	states := expr.CtStateBitNEW | expr.CtStateBitESTABLISHED
	return []expr.Any{
		&expr.Ct{Register: onRegister, Key: expr.CtKeySTATE},
		&expr.Bitwise{
			SourceRegister: onRegister, DestRegister: onRegister, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(states), Xor: make([]byte, 4),
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: onRegister, Data: make([]byte, 4)},
	}
}

func named(key expr.MetaKey, name string) []expr.Any {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return meta(key, padded)
}

func proto(key expr.MetaKey, number uint8) []expr.Any { return meta(key, []byte{number}) }

func meta(key expr.MetaKey, is []byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: key, Register: onRegister},
		&expr.Cmp{Op: expr.CmpOpEq, Register: onRegister, Data: is},
	}
}

func payload(base expr.PayloadBase, offset uint32, is []byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: onRegister, Base: base, Offset: offset, Len: uint32(len(is))},
		&expr.Cmp{Op: expr.CmpOpEq, Register: onRegister, Data: is},
	}
}

func icmpType(mask, is uint8) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: onRegister, Base: expr.PayloadBaseTransportHeader, Len: 1},
		&expr.Bitwise{
			SourceRegister: onRegister, DestRegister: onRegister, Len: 1,
			Mask: []byte{mask}, Xor: []byte{0},
		},
		&expr.Cmp{Op: expr.CmpOpEq, Register: onRegister, Data: []byte{is}},
	}
}

func nfproto(family uint8) uint8 {
	if family == unix.AF_INET6 {
		return unix.NFPROTO_IPV6
	}
	return unix.NFPROTO_IPV4
}

func bytesOf(addr string) []byte   { return netip.MustParseAddr(addr).AsSlice() }
func bigEndian(port uint16) []byte { return binaryutil.BigEndian.PutUint16(port) }

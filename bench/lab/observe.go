package lab

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Passage is one direction of connections between two ends, on one way through the
// router.
type Passage struct {
	Proto         uint8
	From, To      netip.AddrPort // the real ends, as without NAT; port 0 where there are none
	Reply         bool           // this is the direction of the replies
	Input, Output uint32         // interface indexes; 0 is the router itself
}

const (
	observedTable = "observed"
	observedSet   = "passages"
	observedMost  = 1 << 20 // passages
	observedLost  = "lost"
	frozenName    = "frozen"

	firstWord = unix.NFT_REG32_00 // of the registers by words
)

// Observe has the router count from now on what passes it, by passage, as Observed
// returns it.
func (l *Lab) Observe() error {
	conn, err := nftables.New(nftables.WithNetNSFd(l.Router.FD()))
	if err != nil {
		return err
	}
	for _, family := range families() {
		if err := observe(conn, family); err != nil {
			return fmt.Errorf("lab: nftables: %w", err)
		}
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("lab: nftables: %w", err)
	}
	return nil
}

// observe counts each packet once, where it is past all that may drop it before
// conntrack confirms its connection: forwarded, delivered to the router, or sent by it.
// That is what conntrack counts. Loopback is left out, as are the copies of its own
// multicast packets that the router hands itself.
func observe(conn *nftables.Conn, family uint8) error {
	table := observedIn(family)
	r := &ruleset{conn, conn.AddTable(table)}
	conn.AddObj(&nftables.CounterObj{Table: table, Name: observedLost})
	key := newPassageKey(family)
	set := &nftables.Set{
		ID:    uint32(family), // unique among those that are flushed together; else a race for the next
		Table: table, Name: observedSet, Dynamic: true, Size: observedMost,
		KeyType: nftables.SetDatatype{Name: "passage", Bytes: uint32(key.size())},
	}
	if err := conn.AddSet(set, nil); err != nil {
		return err
	}
	count := append(key.exprs(), &expr.Dynset{
		SrcRegKey: firstWord, SetName: set.Name, SetID: set.ID,
		Operation: uint32(unix.NFT_DYNSET_OP_UPDATE), Exprs: []expr.Any{&expr.Counter{}},
	}, &expr.Verdict{Kind: expr.VerdictReturn})
	lost := []expr.Any{&expr.Objref{Type: unix.NFT_OBJECT_COUNTER, Name: observedLost}}
	for _, hook := range []struct {
		name string
		hook *nftables.ChainHook
		skip [][]expr.Any
	}{
		{"forward", nftables.ChainHookForward, nil},
		{"input", nftables.ChainHookInput,
			[][]expr.Any{named(expr.MetaKeyIIFNAME, "lo"), fromItself()}},
		{"output", nftables.ChainHookOutput, [][]expr.Any{named(expr.MetaKeyOIFNAME, "lo")}},
	} {
		chain := r.chain(hook.name, nftables.ChainTypeFilter, hook.hook,
			nftables.ChainPriorityFilter)
		for _, match := range hook.skip {
			r.rule(chain, match, []expr.Any{&expr.Verdict{Kind: expr.VerdictReturn}})
		}
		r.rule(chain, tracked(), count)
		r.rule(chain, tracked(), lost) // the set was full
	}
	return nil
}

func observedIn(family uint8) *nftables.Table {
	if family == unix.AF_INET6 {
		return &nftables.Table{Name: observedTable, Family: nftables.TableFamilyIPv6}
	}
	return &nftables.Table{Name: observedTable, Family: nftables.TableFamilyIPv4}
}

// fromItself matches what has one of the router's own addresses for a source.
func fromItself() []expr.Any {
	local := binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)
	return []expr.Any{
		&expr.Fib{Register: onRegister, FlagSADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: onRegister, Data: local},
	}
}

// passageKey is how the set's keys are laid out: two addresses, then six words.
type passageKey struct{ address int }

func newPassageKey(family uint8) passageKey {
	if family == unix.AF_INET6 {
		return passageKey{16}
	}
	return passageKey{4}
}

func (k passageKey) size() int { return 2*k.address + 6*4 }

// exprs loads a packet's key. The opener is the source of the original direction; the
// peer, as it really is, that of the replies.
func (k passageKey) exprs() []expr.Any {
	// The kernel reads the first byte of what the library writes as a word.
	const original, reply = 0, 1 << 24
	words := uint32(k.address / 4)
	peer, rest := firstWord+words, firstWord+2*words
	return []expr.Any{
		&expr.Ct{Register: firstWord, Key: expr.CtKeySRC, Direction: original},
		&expr.Ct{Register: peer, Key: expr.CtKeySRC, Direction: reply},
		&expr.Ct{Register: rest, Key: expr.CtKeyPROTOSRC, Direction: original},
		&expr.Ct{Register: rest + 1, Key: expr.CtKeyPROTOSRC, Direction: reply},
		&expr.Meta{Register: rest + 2, Key: expr.MetaKeyL4PROTO},
		&expr.Ct{Register: rest + 3, Key: expr.CtKeyDIRECTION},
		&expr.Meta{Register: rest + 4, Key: expr.MetaKeyIIF},
		&expr.Meta{Register: rest + 5, Key: expr.MetaKeyOIF},
	}
}

// passage reads a key.
func (k passageKey) passage(b []byte) Passage {
	opener, _ := netip.AddrFromSlice(b[:k.address])
	peer, _ := netip.AddrFromSlice(b[k.address : 2*k.address])
	rest := b[2*k.address:]
	p := Passage{
		Proto: rest[8], Reply: rest[12] != 0,
		Input: binary.NativeEndian.Uint32(rest[16:]), Output: binary.NativeEndian.Uint32(rest[20:]),
	}
	var openerPort, peerPort uint16
	if hasPorts(p.Proto) {
		openerPort, peerPort = binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[4:])
	}
	p.From, p.To = netip.AddrPortFrom(opener, openerPort), netip.AddrPortFrom(peer, peerPort)
	if p.Reply {
		p.From, p.To = p.To, p.From
	}
	return p
}

func hasPorts(proto uint8) bool {
	switch proto {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_UDPLITE, unix.IPPROTO_SCTP,
		unix.IPPROTO_DCCP:
		return true
	}
	return false
}

// Observed returns what has passed the router since Observe and was counted by
// conntrack.
func (l *Lab) Observed() (map[Passage]Count, error) {
	conn, err := nftables.New(nftables.WithNetNSFd(l.Router.FD()))
	if err != nil {
		return nil, err
	}
	all := map[Passage]Count{}
	for _, family := range families() {
		table, key := observedIn(family), newPassageKey(family)
		counters, err := readCounters(l.Router, table)
		if err != nil {
			return nil, err
		}
		if counters[observedLost] != (Count{}) {
			return nil, fmt.Errorf("lab: more than %d passages", observedMost)
		}
		elements, err := conn.GetSetElements(&nftables.Set{Table: table, Name: observedSet})
		if err != nil {
			return nil, fmt.Errorf("lab: nftables: %w", err)
		}
		for _, e := range elements {
			p := key.passage(e.Key)
			all[p] = all[p].plus(Count{e.Counter.Packets, e.Counter.Bytes})
		}
	}
	return all, nil
}

func frozenTable() *nftables.Table {
	return &nftables.Table{Name: frozenName, Family: nftables.TableFamilyINet}
}

// Freeze has the router drop every packet from now on, before conntrack sees it, but for
// its own loopback traffic. What was counted until then doesn't move any more.
func (l *Lab) Freeze() error {
	conn, err := nftables.New(nftables.WithNetNSFd(l.Router.FD()))
	if err != nil {
		return err
	}
	table := conn.AddTable(frozenTable())
	r := &ruleset{conn, table}
	conn.AddObj(&nftables.CounterObj{Table: table, Name: frozenName})
	early := nftables.ChainPriorityRef(*nftables.ChainPriorityConntrackDefrag - 1)
	for _, hook := range []struct {
		name string
		hook *nftables.ChainHook
		key  expr.MetaKey
	}{
		{"prerouting", nftables.ChainHookPrerouting, expr.MetaKeyIIFNAME},
		{"output", nftables.ChainHookOutput, expr.MetaKeyOIFNAME},
	} {
		chain := r.chain(hook.name, nftables.ChainTypeFilter, hook.hook, early)
		r.rule(chain, named(hook.key, "lo"), []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}})
		r.rule(chain, []expr.Any{
			&expr.Objref{Type: unix.NFT_OBJECT_COUNTER, Name: frozenName},
			&expr.Verdict{Kind: expr.VerdictDrop},
		})
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("lab: nftables: %w", err)
	}
	return nil
}

package kernel

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
)

const procNetlink = `sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
0000000025e8a884 12  5887       00000000 0        0        0     2        0        2728913 
0000000000000001 12  1          00000001 0        0        0     2        0        11 
0000000000000002 12  2775432249 00000002 0        0        0     2        0        12 
00000000c8543c2a 12  2775432249 00000004 0        0        0     2        7        2728914 
0000000000000003 12  3          00000038 0        0        0     2        0        13 
0000000000000004 0   4          00000007 0        0        0     2        0        14 
0000000000000005 12  5          ffffffff 0        0        0     2        0        15 
`

func TestParseSubscribers(t *testing.T) {
	for _, c := range []struct {
		text string
		want []uint64
	}{
		{"", nil},
		{procNetlink, []uint64{11, 12, 2728914, 15}},
		{"0 12 1 4 0 0 0 0 0", nil}, // no inode
		{"0 12 1 x 0 0 0 0 0 1", nil},
		{"0 12 1 4 0 0 0 0 0 -1", nil},
	} {
		var got []uint64
		for _, l := range parseSubscribers(c.text) {
			got = append(got, l.Inode)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, want %v", c.text, got, c.want)
		}
	}
}

func FuzzParseSubscribers(f *testing.F) {
	f.Add(procNetlink)
	f.Fuzz(func(t *testing.T, text string) {
		for _, l := range parseSubscribers(text) {
			if l.PID != 0 || l.Reliable || l.Program != "" {
				t.Errorf("%+v", l)
			}
		}
	})
}

// diagOf makes a struct netlink_diag_msg with the inode and attributes.
func diagOf(inode uint32, attributes ...byte) []byte {
	b := make([]byte, diagMessageLen)
	binary.NativeEndian.PutUint32(b[16:], inode)
	return append(b, attributes...)
}

func flagsOf(flags uint32) []byte {
	b := []byte{4, 0, 1, 0, 8, 0, diagFlags, 0} // NETLINK_DIAG_GROUPS, empty, first
	binary.NativeEndian.PutUint16(b, 4)
	binary.NativeEndian.PutUint16(b[2:], 1)
	binary.NativeEndian.PutUint16(b[4:], 8)
	binary.NativeEndian.PutUint16(b[6:], diagFlags)
	return binary.NativeEndian.AppendUint32(b, flags)
}

func TestDecodeDiag(t *testing.T) {
	for name, c := range map[string]struct {
		message  []byte
		inode    uint64
		reliable bool
	}{
		"reliable":       {diagOf(7, flagsOf(0x2c)...), 7, true},
		"not reliable":   {diagOf(8, flagsOf(0x28)...), 8, false},
		"without flags":  {diagOf(9), 9, false},
		"short":          {diagOf(10)[:27], 0, false},
		"a broken list":  {diagOf(11, 99, 0, 4, 0), 11, false},
		"a flag of 2 B":  {diagOf(12, 6, 0, diagFlags, 0, 4, 0, 0, 0), 12, false},
		"nothing at all": {nil, 0, false},
	} {
		if inode, reliable := decodeDiag(c.message); inode != c.inode || reliable != c.reliable {
			t.Errorf("%s: %d %v", name, inode, reliable)
		}
	}
}

func TestDecodeFlowtable(t *testing.T) {
	encode := func(family byte, fill func(*netlink.AttributeEncoder)) []byte {
		return nfMessage(0, 0, family, fill).Data
	}
	named := func(a *netlink.AttributeEncoder) {
		a.String(nftaFlowtableTable, "filter")
		a.String(nftaFlowtableName, "fast")
	}
	hook := func(a *netlink.AttributeEncoder, priority int32) {
		a.Nested(nftaFlowtableHook, func(hook *netlink.AttributeEncoder) error {
			hook.ByteOrder = binary.BigEndian
			hook.Uint32(1, 0) // NFTA_FLOWTABLE_HOOK_NUM: ingress
			hook.Int32(nftaHookPriority, priority)
			return nil
		})
	}
	for _, c := range []struct {
		message []byte
		want    Flowtable
		command string
	}{
		{encode(1, named), Flowtable{Family: 1, Table: "filter", Name: "fast"},
			"nft add flowtable inet filter fast \"{ hook ingress priority 0; counter; }\""},
		{encode(1, func(a *netlink.AttributeEncoder) {
			named(a)
			hook(a, 10)
		}), Flowtable{Family: 1, Table: "filter", Name: "fast", Priority: 10},
			"nft add flowtable inet filter fast \"{ hook ingress priority 10; counter; }\""},
		{encode(1, func(a *netlink.AttributeEncoder) {
			hook(a, -150)
			named(a)
		}), Flowtable{Family: 1, Table: "filter", Name: "fast", Priority: -150},
			"nft add flowtable inet filter fast \"{ hook ingress priority -150; counter; }\""},
		{encode(2, func(a *netlink.AttributeEncoder) {
			named(a)
			a.Bytes(nftaFlowtableFlags, []byte{0, 0, 0, 1})
		}), Flowtable{Family: 2, Table: "filter", Name: "fast", Hardware: true},
			"nft add flowtable ip filter fast " +
				"\"{ hook ingress priority 0; flags offload; counter; }\""},
		{encode(10, func(a *netlink.AttributeEncoder) {
			named(a)
			a.Bytes(nftaFlowtableFlags, []byte{0, 0, 0, 3})
		}), Flowtable{Family: 10, Table: "filter", Name: "fast", Hardware: true, Counter: true},
			"nft add flowtable ip6 filter fast " +
				"\"{ hook ingress priority 0; flags offload; counter; }\""},
	} {
		got, err := decodeFlowtable(c.message)
		if err != nil || got != c.want || got.Command() != c.command {
			t.Errorf("%+v %q: %v; want %+v", got, got.Command(), err, c.want)
		}
	}
}

func TestFlowtableWithUnsafeNameHasNoCommand(t *testing.T) {
	for _, name := range []string{"", "9t", "-t", "a b", "$(reboot)"} {
		if command := (Flowtable{Family: 1, Table: name, Name: "x"}).Command(); command != "" {
			t.Errorf("%q: %s", name, command)
		}
	}
}

func TestDecodeFlowtableMalformed(t *testing.T) {
	for _, bad := range [][]byte{
		nil, {1, 0, 0}, {1, 0, 0, 0, 99, 0, 1, 0},
		{1, 0, 0, 0, 5, 0, nftaFlowtableFlags, 0, 0, 0, 0, 0},
	} {
		if got, err := decodeFlowtable(bad); err == nil {
			t.Errorf("% x: %+v", bad, got)
		}
	}
}

// FuzzDecodeAnswers proves that no answer of the kernel results in a command that is unsafe in a
// shell.
func FuzzDecodeAnswers(f *testing.F) {
	f.Add(diagOf(7, flagsOf(0x2c)...))
	f.Add(nfMessage(0, 0, 1, func(a *netlink.AttributeEncoder) {
		a.String(nftaFlowtableTable, "filter")
		a.String(nftaFlowtableName, "$(reboot)")
	}).Data)
	f.Fuzz(func(t *testing.T, b []byte) {
		decodeDiag(b)
		flowtable, err := decodeFlowtable(b)
		command := flowtable.Command()
		if err != nil || command == "" {
			return
		}
		strange := strings.ContainsAny(flowtable.Table+flowtable.Name, "$`\"\\\n\x00';&|<>()*?~# ")
		words := len(strings.Fields(`nft add flowtable ip a b "{ counter; }"`))
		if strange || len(strings.Fields(command)) != words {
			t.Errorf("%+v: %s", flowtable, command)
		}
	})
}

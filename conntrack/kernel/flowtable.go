package kernel

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// nftables' flowtables (linux/netfilter/nf_tables.h).
const (
	nftaFlowtableTable = 1
	nftaFlowtableName  = 2
	nftaFlowtableHook  = 3
	nftaFlowtableFlags = 7
	nftaHookPriority   = 2   // NFTA_FLOWTABLE_HOOK_PRIORITY
	nftFlowtableHW     = 0x1 // NFT_FLOWTABLE_HW_OFFLOAD
	nftFlowtableCount  = 0x2 // NFT_FLOWTABLE_COUNTER, since Linux 5.7
)

// Flowtable is one of nftables' flowtables.
type Flowtable struct {
	Family      uint8 // NFPROTO_INET, _IPV4 or _IPV6
	Table, Name string
	Hardware    bool // offloaded to hardware
	Counter     bool // forwarded packets are counted
	Priority    int  // of its hook, ingress
}

// Command returns the command that makes the flowtable count, or "" if a name would need quoting in
// a shell or nft(8).
func (f Flowtable) Command() string {
	families := map[uint8]string{
		unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6",
	}
	if families[f.Family] == "" || !isName(f.Table) || !isName(f.Name) {
		return ""
	}
	flags := "counter;"
	if f.Hardware { // which the kernel refuses to change
		flags = "flags offload; " + flags
	}
	// nft 1.1 requires the hook, and the kernel the table's own priority.
	return fmt.Sprintf(`nft add flowtable %s %s %s "{ hook ingress priority %d; %s }"`,
		families[f.Family], f.Table, f.Name, f.Priority, flags)
}

func isName(s string) bool {
	return s != "" && strings.ContainsRune(nameBegins, rune(s[0])) &&
		strings.Trim(s, nameBytes) == ""
}

// What nft(8) lets names begin with and consist of.
const (
	nameBegins = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_."
	nameBytes  = nameBegins + "0123456789-/"
)

// Flowtables lists those of the calling thread's network namespace.
func Flowtables() ([]Flowtable, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	get := nfMessage(nftType(unix.NFT_MSG_GETFLOWTABLE), netlink.Dump, unix.AF_UNSPEC,
		func(*netlink.AttributeEncoder) {})
	messages, err := conn.Execute(get)
	if err != nil {
		return nil, fmt.Errorf("nftables: %w", err)
	}
	tables := make([]Flowtable, 0, len(messages))
	for _, m := range messages {
		f, err := decodeFlowtable(m.Data)
		if err != nil {
			return nil, fmt.Errorf("nftables: %w", err)
		}
		tables = append(tables, f)
	}
	return tables, nil
}

// decodeFlowtable reads what follows the netlink header.
func decodeFlowtable(b []byte) (Flowtable, error) {
	if len(b) < nfgenmsgLen {
		return Flowtable{}, errMalformed
	}
	f := Flowtable{Family: b[0]}
	a, err := netlink.NewAttributeDecoder(b[nfgenmsgLen:])
	if err != nil {
		return f, err
	}
	a.ByteOrder = binary.BigEndian
	for a.Next() {
		switch a.Type() {
		case nftaFlowtableTable:
			f.Table = a.String()
		case nftaFlowtableName:
			f.Name = a.String()
		case nftaFlowtableHook:
			a.Nested(func(hook *netlink.AttributeDecoder) error {
				for hook.Next() {
					if hook.Type() == nftaHookPriority {
						f.Priority = int(int32(hook.Uint32()))
					}
				}
				return nil
			})
		case nftaFlowtableFlags:
			flags := a.Uint32()
			f.Hardware, f.Counter = flags&nftFlowtableHW != 0, flags&nftFlowtableCount != 0
		}
	}
	return f, a.Err()
}

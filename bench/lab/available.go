package lab

import (
	"fmt"

	"github.com/google/nftables"
)

// Available says why no lab can be built here, or returns nil. It takes root, or
// CAP_SYS_ADMIN and CAP_NET_ADMIN, a writable /proc/sys and nftables. It leaves
// nothing behind.
func Available() error {
	n, err := NewNamespace()
	if err != nil {
		return fmt.Errorf("lab: network namespaces take root, or CAP_SYS_ADMIN: %w", err)
	}
	defer n.Close()
	if err := n.Sysctl("net/ipv4/ip_forward", "1"); err != nil {
		return fmt.Errorf("lab: a router takes a writable /proc/sys/net: %w", err)
	}
	if err := tryTracking(n); err != nil {
		return fmt.Errorf("lab: NAT takes CAP_NET_ADMIN and nftables with conntrack: %w", err)
	}
	return nil
}

func tryTracking(n *Namespace) error {
	conn, err := nftables.New(nftables.WithNetNSFd(n.FD()))
	if err != nil {
		return err
	}
	table := conn.AddTable(&nftables.Table{Name: tableName, Family: nftables.TableFamilyINet})
	chain := conn.AddChain(&nftables.Chain{Name: "probe", Table: table})
	conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: tracked()})
	return conn.Flush()
}

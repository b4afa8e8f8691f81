package lab

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// ingressPriority comes before that of any flowtable.
const ingressPriority nftables.ChainPriority = -500

func ingressTable() *nftables.Table {
	return &nftables.Table{Name: "ingress", Family: nftables.TableFamilyNetdev}
}

// CountIngress has the router count from now on what enters it by each side, before conntrack
// and any flowtable see it, as Entered returns it.
func (l *Lab) CountIngress() error {
	conn, err := nftables.New(nftables.WithNetNSFd(l.Router.FD()))
	if err != nil {
		return err
	}
	r := &ruleset{conn, conn.AddTable(ingressTable())}
	for _, side := range sides() {
		chain := conn.AddChain(&nftables.Chain{
			Name: string(side), Table: r.table, Type: nftables.ChainTypeFilter,
			Hooknum: nftables.ChainHookIngress, Device: string(side),
			Priority: nftables.ChainPriorityRef(ingressPriority),
		})
		for _, m := range meters(string(side)) {
			r.count(chain, m.name(), etherType(m.class.Family), m.class.protocol())
		}
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("lab: nftables: %w", err)
	}
	return nil
}

// etherType matches the family where the network layer is not yet known.
func etherType(family uint8) []expr.Any {
	number := uint16(unix.ETH_P_IP)
	if family == unix.AF_INET6 {
		number = unix.ETH_P_IPV6
	}
	return meta(expr.MetaKeyPROTOCOL, bigEndian(number))
}

// Entered returns what has entered the router by one side since CountIngress. Every class is in
// the map.
func (l *Lab) Entered(side Side) (map[Class]Count, error) {
	counts, err := readCounters(l.Router, ingressTable())
	if err != nil {
		return nil, err
	}
	entered := map[Class]Count{}
	for _, m := range meters(string(side)) {
		entered[m.class] = counts[m.name()]
	}
	return entered, nil
}

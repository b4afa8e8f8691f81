package noise

import (
	"fmt"
	"sync"

	"github.com/conntally/conntally/bench/lab"
)

// spareSetup gives the router a link without a host, an unreachable network and its first
// rule. Adding that takes the local addresses out of the main table a moment before the
// kernel asks another for them (fib4_rule_configure): what comes for the router in between is
// forwarded, so it has to come before there is traffic.
const spareSetup = `link add spare0 type veth peer name spare1
address add 192.168.90.1/24 dev spare0
link set spare0 up
link set spare1 up
route add unreachable 10.255.0.0/16
rule add from 10.3.0.0/24 lookup main priority 19999
`

// spare is what of the router's own changes: routes and rules for networks that nothing
// is sent to, and the spare link.
type spare struct {
	mu     sync.Mutex // one change at a time
	routes map[int]bool
	rules  map[int]bool
	down   map[string]bool
}

// route adds a route for one of some networks, or removes it.
func (s *spare) route(router *lab.Namespace, i int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	gateway := [...]string{"via " + lab.ServerIPv4, "via " + lab.ClientIPv4, "dev lan0"}[i%3]
	return toggle(&s.routes, i, router, fmt.Sprintf("route %%s 10.1.%d.0/24 %s", i, gateway))
}

// rule does the same with rules by source.
func (s *spare) rule(router *lab.Namespace, i int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := fmt.Sprintf("rule %%s from 10.2.%d.0/24 lookup main priority %d", i, 20_000+i)
	return toggle(&s.rules, i, router, line)
}

func toggle(present *map[int]bool, i int, n *lab.Namespace, line string) error {
	if *present == nil {
		*present = map[int]bool{}
	}
	what := "add"
	if (*present)[i] {
		what = "delete"
	}
	(*present)[i] = !(*present)[i]
	return n.IP(fmt.Sprintf(line, what))
}

// flap takes the spare link down or up: the interface itself, or its carrier.
func (s *spare) flap(router *lab.Namespace, carrier bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, state := "spare0", "up"
	if carrier {
		name = "spare1"
	}
	if s.down == nil {
		s.down = map[string]bool{}
	}
	if s.down[name] = !s.down[name]; s.down[name] {
		state = "down"
	}
	return router.IP(fmt.Sprintf("link set %s %s", name, state))
}

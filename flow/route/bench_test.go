package route

import (
	"fmt"
	"testing"

	"github.com/conntally/conntally/conntrack"
)

// internet returns connections of 50 clients to n servers, translated.
func internet(n int) []*conntrack.Event {
	all := make([]*conntrack.Event, n)
	for i := range all {
		all[i] = connection{
			from: fmt.Sprintf("192.168.77.%d", 10+i%50),
			to:   fmt.Sprintf("192.%d.%d.%d", 1+i>>16, byte(i>>8), byte(i)), as: "198.51.100.1",
		}.event()
	}
	return all
}

// rulesSetup is a router whose rules choose by source and by interface.
const rulesSetup = "route add default dev wan2 table 2\n" +
	"rule add from 192.168.77.128/25 lookup 2\nrule add iif wan1 lookup 2\n"

// multipathSetup is a router whose routes have several next hops.
const multipathSetup = "route replace 192.0.0.0/8 nexthop via 198.51.100.254 nexthop via " +
	"203.0.113.254\n"

// BenchmarkPath is of a path whose routes are known.
func BenchmarkPath(b *testing.B) {
	for name, setup := range map[string]string{"two uplinks": "", "rules": rulesSetup} {
		b.Run(name,
			func(b *testing.B) {
				benchmarkPath(b, newRouter(b, setup, Options{Mark: true}).resolver)
			})
	}
	b.Run("each address by itself", func(b *testing.B) {
		r := newRouter(b, "", Options{})
		// no change comes: nobody else writes it
		r.resolver.watcher.state.policy.atoms = atoms{fine: true}
		r.resolver.publish()
		benchmarkPath(b, r.resolver)
	})
}

func benchmarkPath(b *testing.B, l *Resolver) {
	events := internet(10_000)
	for _, e := range events {
		l.Path(e)
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		l.Path(events[i])
		if i++; i == len(events) {
			i = 0
		}
	}
}

// BenchmarkLookUp is of a route that the kernel is asked for.
func BenchmarkLookUp(b *testing.B) {
	r := newRouter(b, "", Options{})
	to := addr(server)
	b.ReportAllocs()
	for b.Loop() {
		if kind, _, err := r.resolver.fib.lookUp(&query{to: &to}); kind != unicast || err != nil {
			b.Fatal(kind, err)
		}
	}
}

package lab

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// Class is what packets are counted by: AF_INET or AF_INET6, and IPPROTO_TCP,
// IPPROTO_UDP, IPPROTO_ICMP or IPPROTO_ICMPV6. ICMP is echo requests and replies.
type Class struct{ Family, Proto uint8 }

// Count counts packets, and bytes of the network layer, IP headers included. As
// in conntrack, a packet is what the kernel handles as one: before segmentation
// and after reassembly.
type Count struct{ Packets, Bytes uint64 }

func (c Count) plus(o Count) Count { return Count{c.Packets + o.Packets, c.Bytes + o.Bytes} }

// Side is one of the router's interfaces, by its name.
type Side string

// The router's interfaces: towards the client, the server, and the guest.
const (
	LAN      Side = "lan0"
	WAN      Side = "wan0"
	GuestLAN Side = "lan1"
)

// sides are those whose packets are counted.
func sides() [2]Side { return [...]Side{LAN, WAN} }

// Forwarded returns what the router has forwarded and conntrack has counted, in
// both directions together. Every class is in the map.
func (l *Lab) Forwarded() (map[Class]Count, error) {
	return readMeters(l.Router, string(LAN), string(WAN))
}

// ForwardedFrom is the part of Forwarded that entered the router on one side.
func (l *Lab) ForwardedFrom(side Side) (map[Class]Count, error) {
	return readMeters(l.Router, string(side))
}

// Sent returns what client and server together have sent.
func (l *Lab) Sent() (map[Class]Count, error) {
	sent, err := readMeters(l.Client, HostInterface)
	if err != nil {
		return nil, err
	}
	server, err := readMeters(l.Server, HostInterface)
	if err != nil {
		return nil, err
	}
	for class, count := range server {
		sent[class] = sent[class].plus(count)
	}
	return sent, nil
}

// Stray returns what the router has forwarded beside Forwarded: related ICMP
// errors, packets that are invalid to conntrack, other protocols. The lab's
// own traffic has none.
func (l *Lab) Stray() (Count, error) {
	counts, err := readCounters(l.Router, labTable())
	return counts[strayName], err
}

// Settle waits until all that was sent has been forwarded too, and returns it. It
// is for when traffic has ended: acknowledgements may still be on their way. It
// fails when ctx ends before.
func (l *Lab) Settle(ctx context.Context) (map[Class]Count, error) {
	for {
		sent, err := l.Sent()
		if err != nil {
			return nil, err
		}
		forwarded, err := l.Forwarded()
		if err != nil {
			return nil, err
		}
		if maps.Equal(sent, forwarded) {
			return forwarded, nil
		}
		if err := WaitUntil(ctx, time.Now().Add(time.Millisecond)); err != nil {
			return nil, fmt.Errorf("lab: sent %v, forwarded %v: %w", sent, forwarded, err)
		}
	}
}

// meter is one named counter: a class of packets at one interface.
type meter struct {
	at    string
	class Class
}

func meters(at string) []meter {
	var all []meter
	for _, family := range families() {
		for _, proto := range protocols(family) {
			all = append(all, meter{at, Class{family, proto}})
		}
	}
	return all
}

func families() [2]uint8 { return [...]uint8{unix.AF_INET, unix.AF_INET6} }

func protocols(family uint8) [3]uint8 {
	return [...]uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP, icmpOf(family)}
}

func icmpOf(family uint8) uint8 {
	if family == unix.AF_INET6 {
		return unix.IPPROTO_ICMPV6
	}
	return unix.IPPROTO_ICMP
}

// name is what "nft list counters" shows, as in "lan0-ip6-tcp".
func (m meter) name() string { return m.at + "-" + m.class.String() }

// String returns for example "ip-udp" or "ip6-icmp".
func (c Class) String() string {
	family := map[uint8]string{unix.AF_INET: "ip", unix.AF_INET6: "ip6"}[c.Family]
	proto := map[uint8]string{
		unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp",
		unix.IPPROTO_ICMP: "icmp", unix.IPPROTO_ICMPV6: "icmp",
	}[c.Proto]
	if family == "" || proto == "" {
		return fmt.Sprintf("family%d-proto%d", c.Family, c.Proto)
	}
	return family + "-" + proto
}

// readMeters sums the counters at the interfaces.
func readMeters(n *Namespace, interfaces ...string) (map[Class]Count, error) {
	counts, err := readCounters(n, labTable())
	if err != nil {
		return nil, err
	}
	sums := map[Class]Count{}
	for _, at := range interfaces {
		for _, m := range meters(at) {
			sums[m.class] = sums[m.class].plus(counts[m.name()])
		}
	}
	return sums, nil
}

func readCounters(n *Namespace, table *nftables.Table) (map[string]Count, error) {
	conn, err := nftables.New(nftables.WithNetNSFd(n.FD()))
	if err != nil {
		return nil, err
	}
	objects, err := conn.GetObjects(table)
	if err != nil {
		return nil, fmt.Errorf("lab: nftables counters: %w", err)
	}
	counts := map[string]Count{}
	for _, object := range objects {
		if c, ok := object.(*nftables.CounterObj); ok {
			counts[c.Name] = Count{c.Packets, c.Bytes}
		}
	}
	return counts, nil
}

// ledger sums up what the generators know.
type ledger struct {
	mu     sync.Mutex
	counts map[Class]Count
}

func (g *ledger) add(class Class, packets, bytes int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.counts == nil {
		g.counts = map[Class]Count{}
	}
	g.counts[class] = g.counts[class].plus(Count{uint64(packets), uint64(bytes)})
}

// Generated returns what the traffic functions know to have caused, answers
// included. For UDP and ICMP it is exact, IP headers included. For TCP it is the
// payload, with the headers of the lab's protocol (HeaderSize), and no packets:
// the kernel decides on these.
func (l *Lab) Generated() map[Class]Count {
	l.generated.mu.Lock()
	defer l.generated.mu.Unlock()
	return maps.Clone(l.generated.counts)
}

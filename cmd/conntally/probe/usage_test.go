package probe

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/account"
	"github.com/conntally/conntally/flow/route"
)

// namedInterfaces is an account.Resolver that knows nothing but the names of interfaces.
type namedInterfaces struct {
	dayResolver
	names map[uint32]string
}

// Name implements account.Resolver.
func (n *namedInterfaces) Name(index uint32) string { return n.names[index] }

// usageFixture is a probe that serves the metrics of what a test counts.
type usageFixture struct {
	*loop
	named *namedInterfaces
	get   func(path string) (code int, text string)
}

func newUsageFixture(t *testing.T) *usageFixture {
	k := conntracktest.New()
	f := &usageFixture{
		loop:  newLoop(t, k.Reader(), k.Clock()),
		named: &namedInterfaces{names: map[uint32]string{}},
	}
	f.accounts = account.New(account.Options{Resolver: f.named})
	f.routes, f.usage.nameOf = new(route.Resolver), f.named.Name
	f.collectors.Store(new([]*export.Collector))
	f.get = f.serveHTTP()
	return f
}

// count counts 100 bytes from one interface to another.
func (f *usageFixture) count(from, to uint32) {
	e := &conntrack.Event{At: f.clock(), Counted: true}
	e.Orig.Src = conntrack.AddrFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(from)}))
	e.Reply.Src = conntrack.AddrFrom(netip.MustParseAddr("198.51.100.1"))
	e.Orig.Dst, e.Reply.Dst = e.Reply.Src, e.Orig.Src
	e.Orig.Family, e.Reply.Family = unix.AF_INET, unix.AF_INET
	f.accounts.CountEnded(e, flow.Path{flow.NewHop(from, false), flow.NewHop(to, true)},
		&[2]conntrack.Counters{{Packets: 1, Bytes: 100}})
}

// received returns the page's samples of what came in, as "eth0 100, eth1 100".
func (f *usageFixture) received() string {
	f.t.Helper()
	f.usage.taken = -int64(snapshotLasts) // the fake clock stands still
	_, page := f.get("/metrics")
	if !strings.Contains(page, "conntally_traffic_bytes_total") {
		f.t.Error("traffic is missing")
	}
	var all []string
	for line := range strings.Lines(page) {
		var name string
		var bytes int
		const format = "conntally_interface_receive_bytes_total{interface=%q} %d"
		if n, _ := fmt.Sscanf(line, format, &name, &bytes); n == 2 && bytes > 0 {
			all = append(all, fmt.Sprintf("%s %d", name, bytes))
		}
	}
	return strings.Join(all, ", ")
}

func (f *usageFixture) expect(want string) {
	f.t.Helper()
	if got := f.received(); got != want {
		f.t.Errorf("received %q, want %q", got, want)
	}
}

// TestAnyInterfaceNameMakesAValidLabel: the kernel takes names that aren't UTF-8. Two that become
// the same label are one sample.
func TestAnyInterfaceNameMakesAValidLabel(t *testing.T) {
	f := newUsageFixture(t)
	f.named.names = map[uint32]string{2: "br\xff", 3: "br\xfe", 4: "a\"b\\c", 5: "lan"}
	for index := range f.named.names {
		f.count(index, 9)
	}
	f.named.names[9] = "wan"
	f.start()
	f.expect(`a"b\c 100, br? 200, lan 100`)
}

// TestShortLivedInterfacesAreCounted: those that are gone before somebody asks, and those whose
// name was never known. A counter never goes down.
func TestShortLivedInterfacesAreCounted(t *testing.T) {
	f := newUsageFixture(t)
	f.named.names = map[uint32]string{2: "ppp0", 9: "wan"}
	f.count(2, 9)
	delete(f.named.names, 2)
	f.count(3, 9) // not known yet
	f.count(4, 9)
	f.named.names[3] = "ppp1"
	f.count(3, 8) // from another place among known ends
	f.count(4, 9)
	f.start()
	f.expect("other 200, ppp0 100, ppp1 200")
	f.named.names[4], f.named.names[3] = "ppp2", "renamed"
	f.expect("other 200, ppp0 100, renamed 200")
	delete(f.named.names, 3)
	f.expect("other 200, ppp0 100, renamed 200")
}

package probe

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/conntally/monitor"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/account"
	"github.com/conntally/conntally/flow/host"
	"github.com/conntally/conntally/flow/route"
)

const (
	dayFlows = 200 // open at a time
	dayBegin = 2 * time.Hour
	dayEnd   = 26 * time.Hour

	dayDevices = 20 // fewer than there are

	// The bounds of growth lie between the noise, mostly datagrams of 32 KiB that the fake
	// kernel happens to hold, and the smallest leak: 9,000 dumps of a slice of 24 B, or of
	// one object.
	dayGrowth  = 192 << 10 // bytes
	dayObjects = 1000
)

// day generates a router's traffic. It takes the place of the service manager, which is
// called at each turn of the loop.
type day struct {
	kernel  *conntracktest.Kernel
	probe   *Probe
	scrape  http.Handler
	stop    context.CancelFunc
	began   int64
	moved   int64
	scraped int64
	keys    []conntrack.Key
	made    uint32
	before  memoryUse
	after   memoryUse
}

// memoryUse is what is in use after a garbage collection.
type memoryUse struct {
	heap, objects uint64
	goroutines    int
}

func measureMemory() memoryUse {
	var m runtime.MemStats
	for range 2 { // pooled objects survive the first
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return memoryUse{m.HeapAlloc, m.HeapObjects, runtime.NumGoroutine()}
}

// Notify implements manager.
func (d *day) Notify(...string) {}

// Alive implements manager: a second of traffic, and a scrape every minute.
func (d *day) Alive(now int64) (due int64) {
	if now-d.moved >= int64(time.Second) { // a DESTROY event wakes the loop at once
		d.moved = now
		d.traffic()
	}
	if now-d.scraped >= int64(time.Minute) {
		d.scraped = now
		w := httptest.NewRecorder()
		d.scrape.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		_, _ = io.Copy(io.Discard, w.Body)
	}
	switch passed := time.Duration(now - d.began); {
	case passed >= dayBegin && d.before.heap == 0:
		d.before = measureMemory()
	case passed >= dayEnd && d.after.heap == 0:
		d.after = measureMemory()
		d.stop()
	}
	return now + int64(time.Second)
}

// dayResolver knows a LAN whose hosts are reached by one interface, and the Internet by
// another.
type dayResolver struct{}

// Path implements flow.RouteResolver.
func (dayResolver) Hop(index uint32) flow.Hop { return flow.NewHop(index, false) }

func (dayResolver) Path(*conntrack.Event) flow.Path {
	return flow.Path{flow.NewHop(2, false), flow.NewHop(3, true)}
}

// Shrink implements flow.RouteResolver.
func (dayResolver) Shrink() {}

// Version implements flow.RouteResolver.
func (dayResolver) Version() uint32 { return 1 }

// Changed implements flow.RouteResolver.
func (dayResolver) Changed(uint32, *conntrack.Event, flow.Path, flow.Path) (first, last int64) {
	return 0, 0
}

// Local implements account.Resolver.
func (dayResolver) Local(*conntrack.Addr) bool { return false }

// Broadcast implements account.Resolver.
func (dayResolver) Broadcast(*conntrack.Addr) bool { return false }

// Name implements account.Resolver.
func (dayResolver) Name(index uint32) string { return fmt.Sprintf("eth%d", index) }

// MAC implements account.Resolver: hosts make up their Ethernet addresses.
func (dayResolver) MAC(a *conntrack.Addr, _ uint32, _ int64) host.MAC {
	return host.MAC{2, 0, a[12], a[13], a[14], a[15]}
}

// traffic destroys the oldest connection, creates one, and counts packets of some others.
func (d *day) traffic() {
	if len(d.keys) == dayFlows {
		d.kernel.Destroy(d.keys[0])
		d.keys = d.keys[:copy(d.keys, d.keys[1:])]
	}
	d.made++
	source := netip.AddrFrom4([4]byte{192, 168, byte(d.made >> 8), byte(d.made)})
	d.keys = append(d.keys, d.kernel.Create(conntrack.Event{Orig: conntrack.Tuple{
		Src:     conntrack.AddrFrom(source),
		Dst:     conntrack.AddrFrom(netip.MustParseAddr("198.51.100.1")),
		SrcPort: uint16(d.made>>16) + 1024, DstPort: 53, Family: unix.AF_INET,
		Proto: conntrack.ProtoUDP,
	}}))
	for i := int(d.made) % 10; i < len(d.keys); i += 10 {
		d.kernel.Count(d.keys[i], conntrack.Original, 1, 100)
	}
}

// TestMemoryDoesNotGrowInADay runs the whole probe for a day on the fake clock, with
// traffic, a scraper and a collector of each protocol.
func TestMemoryDoesNotGrowInADay(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	k := conntracktest.New()
	var collectors []*export.Collector
	for _, protocol := range []export.Protocol{export.IPFIX, export.NetFlow9} {
		c := export.NewCollector(export.CollectorConfig{Address: listener(t), Protocol: protocol},
			k.Clock())
		if err := c.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		collectors = append(collectors, c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	d := &day{kernel: k, stop: cancel, began: k.Clock()().Mono}
	exporter := &export.Exporter{Collectors: collectors}
	accounts := account.New(account.Options{Devices: true, Max: dayDevices,
		Resolver: dayResolver{}})
	options := flow.Options{Active: time.Minute, Idle: 15 * time.Second, Routes: dayResolver{},
		Meter: accounts}
	p := &Probe{
		conditions: condition.NewTracker(zap.NewNop()), readKernel: healthyKernel,
		config: config.Default(),
		reader: unattached(k.Reader(), k.Clock()), exporter: exporter, clock: k.Clock(), log: zap.NewNop(), manager: d,
		routes: new(route.Resolver), accounts: accounts,
		questions: newQuestions(k.Clock(), func() {}),
		table:     flow.NewTable(options, new(conntrack.Timeouts), exporter, k.Clock()()),
	}
	p.collectors.Store(&collectors)
	p.pacer = newPacer(10*time.Second, math.Inf(1), 0, &p.Stats) // no batchWait: the clock is fake
	p.usage.nameOf = dayResolver{}.Name
	sources := p.sources()
	// the scraper is called by the loop, which can't ask itself
	sources.Usage = func() *monitor.Usage {
		s := accounts.Snapshot(k.Clock()())
		p.usage.learn(s.Interfaces)
		return p.showUsage(s, true)
	}
	d.probe, d.scrape = p, sources.Handler(false)
	if err := p.loop(ctx); err != nil {
		t.Fatal(err)
	}
	dumps, destroys := p.reader.Stats.Dumps.Load(), p.reader.Stats.Destroys.Load()
	records := p.table.Stats.Records.Load()
	t.Logf("%d dumps, %d DESTROY events, %d records; after %v %+v, after %v %+v",
		dumps, destroys, records, dayBegin, d.before, dayEnd, d.after)
	if dumps < 9000 || destroys < 90_000 || records < 2*destroys {
		t.Error("too little for a day")
	}
	if grown := int64(d.after.heap) - int64(d.before.heap); grown > dayGrowth {
		t.Errorf("the heap has grown by %d B", grown)
	}
	if grown := int64(d.after.objects) - int64(d.before.objects); grown > dayObjects {
		t.Errorf("%d objects more", grown)
	}
	if d.after.goroutines > d.before.goroutines {
		t.Error("goroutines have leaked")
	}
}

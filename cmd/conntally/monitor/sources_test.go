package monitor

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/conntally/monitor/monitortest"
	"github.com/conntally/conntally/cmd/conntally/print"
	"github.com/conntally/conntally/cmd/internal/httpserver"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/host"
	"github.com/conntally/conntally/flow/route"
)

const second = int64(time.Second)

// newSources returns the sources of a pipeline that has counted nothing. It began when the
// clock was at 100 s; now it is at 110 s.
func newSources(collectors ...string) *Sources {
	now := conntrack.Timestamp{Mono: 110 * second, Wall: 1_700_000_110 * second}
	clock := func() conntrack.Timestamp { return now }
	var all []*export.Collector
	for _, address := range collectors {
		target := export.CollectorConfig{Address: address, Protocol: export.IPFIX}
		all = append(all, export.NewCollector(target, clock))
	}
	return &Sources{
		Version: "v1.2.3", Conntrack: new(ctnetlink.Stats), Flow: new(flow.Stats), Routes: new(route.Stats),
		Neighbours: new(host.NeighbourStats), Print: new(print.Stats), Probe: new(Probe),
		Conditions: func() []condition.Condition { return nil },
		Collectors: func() []*export.Collector { return all },
		Source:     func() (name, step, dumps string) { return "bpf", "fentry", "netlink" },
		Clock:      clock, Began: 100 * second, Server: httpserver.New(zap.NewNop()),
		Sysctl: func(name string) (int, error) {
			return map[string]int{"count": 1234, "max": 65536}[name], nil
		},
		Statistics: func() (kernel.Statistics, error) { return kernel.Statistics{}, nil },
	}
}

func pageOf(s *Sources) []byte { return get(s, "/metrics").Body.Bytes() }

// parsed returns what Prometheus reads from a page of metrics.
func parsed(t *testing.T, page []byte) monitortest.Families {
	t.Helper()
	families, err := monitortest.Parse(page)
	if err != nil {
		t.Fatalf("%v\n%s", err, page)
	}
	return families
}

// value returns the value of a metric without labels.
func value(t *testing.T, s *Sources, name string) float64 {
	t.Helper()
	v, found := parsed(t, pageOf(s)).Value(name)
	if !found {
		t.Fatalf("no %s", name)
	}
	return v
}

// TestMetricsPassLint: by Prometheus's own linter.
func TestMetricsPassLint(t *testing.T) {
	page := pageOf(newSources("192.0.2.1:2055", "[2001:db8::1]:2055"))
	if err := parsed(t, page).Lint(); err != nil {
		t.Error(err)
	}
	wrong := bytes.Replace(page, []byte("HELP conntally_flows "), []byte("HELP x "), 1)
	if parsed(t, wrong).Lint() == nil {
		t.Error("a metric without HELP passed")
	}
}

// TestEachCounterHasAMetric gives each counter of the pipeline a unique value, and expects
// a sample with that value.
func TestEachCounterHasAMetric(t *testing.T) {
	s := newSources("192.0.2.1:2055")
	at := map[float64]string{}
	number(t, &s.Collectors()[0].Stats, at)
	number(t, &s.Server.Stats, at)
	var statistics kernel.Statistics
	for i, v := range reflect.ValueOf(&statistics).Elem().Fields() {
		v.SetUint(uint64(800_001 + len(at)))
		at[float64(v.Uint())] = "kernel.Statistics." + i.Name
	}
	s.Statistics = func() (kernel.Statistics, error) { return statistics, nil }
	for _, stats := range reflect.ValueOf(s).Elem().Fields() {
		if stats.Kind() == reflect.Pointer && stats.Interface() != s.Server {
			number(t, stats.Interface(), at)
		}
	}
	families := parsed(t, pageOf(s))
	for name := range families {
		for _, v := range families.Values(name) {
			delete(at, v)
			delete(at, v*float64(time.Second)) // durations are stored in ns
		}
	}
	for _, field := range at {
		t.Errorf("no metric shows %s", field)
	}
}

// number sets each field of a struct to a unique value, and adds it to at.
func number(t *testing.T, stats any, at map[float64]string) {
	t.Helper()
	v := reflect.ValueOf(stats).Elem()
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; name == "Turned" || name == "Dumped" {
			continue // not a counter
		}
		n := 900_001 + 2*len(at)
		at[float64(n)] = v.Type().String() + "." + v.Type().Field(i).Name
		switch f := v.Field(i).Addr().Interface().(type) {
		case *atomic.Uint64:
			f.Store(uint64(n))
		case *atomic.Int64:
			f.Store(int64(n))
		default:
			t.Fatalf("%s is not a counter", at[float64(n)])
		}
	}
}

// TestUnreadableSysctlIsLeftOut: a limit that can't be read has no sample.
func TestUnreadableSysctlIsLeftOut(t *testing.T) {
	s := newSources()
	if n := value(t, s, "conntally_conntrack_entries"); n != 1234 {
		t.Errorf("%v entries", n)
	}
	if n := value(t, s, "conntally_conntrack_entries_limit"); n != 65536 {
		t.Errorf("limit %v", n)
	}
	s.Sysctl = func(string) (int, error) { return 0, errors.New("no such file") }
	s.Statistics = func() (kernel.Statistics, error) {
		return kernel.Statistics{}, errors.New("not permitted")
	}
	text := string(pageOf(s))
	if strings.Contains(text, "conntally_conntrack_entries") || strings.Contains(text, "conntally_kernel_") {
		t.Error("a sample without a value")
	}
}

// TestNoNeighbourMetricsWithoutMAC: nobody reads neighbours then.
func TestNoNeighbourMetricsWithoutMAC(t *testing.T) {
	s := newSources()
	s.Neighbours = nil
	if text := string(pageOf(s)); strings.Contains(text, "conntally_neighbour") {
		t.Error("metrics of neighbours that nobody reads")
	}
}

// TestOnlyCurrentCollectorsAreShown: a removed collector has no samples.
func TestOnlyCurrentCollectorsAreShown(t *testing.T) {
	const metric, first, second = "conntally_export_datagrams_total", "192.0.2.1:2055", "192.0.2.2:2055"
	s := newSources(first, second)
	both := s.Collectors()
	both[1].Stats.Messages.Store(7)
	for _, c := range []struct {
		present []*export.Collector
		want    map[string]float64
	}{
		{both, map[string]float64{first: 0, second: 7}},
		{both[1:], map[string]float64{second: 7}},
		{nil, map[string]float64{}},
	} {
		s.Collectors = func() []*export.Collector { return c.present }
		f := parsed(t, pageOf(s))
		if len(f[metric].GetMetric()) != len(c.want) {
			t.Errorf("got %v, want %v", f[metric], c.want)
		}
		for collector, want := range c.want {
			if got, found := f.Value(metric, collector); !found || got != want {
				t.Errorf("%s: %v %v, want %v", collector, got, found, want)
			}
		}
	}
}

// TestAnyAddressMakesAValidLabel: quotes, newlines and invalid UTF-8 included.
func TestAnyAddressMakesAValidLabel(t *testing.T) {
	s := newSources("a\"b\\c\nd:1", "a\xffb:1")
	family := parsed(t, pageOf(s))["conntally_export_datagrams_total"]
	if len(family.Metric) != 2 {
		t.Fatalf("got %v", family)
	}
	for i, want := range []string{"a\"b\\c\nd:1", "a?b:1"} {
		if got := family.Metric[i].Label[0].GetValue(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestTimesAreInSeconds: the age of a dump counts from the start until there is one.
func TestTimesAreInSeconds(t *testing.T) {
	s := newSources()
	s.Probe.DumpTime.Store(1500 * int64(time.Millisecond))
	if v := value(t, s, "conntally_conntrack_dump_seconds_total"); v != 1.5 {
		t.Errorf("dumps took %v", v)
	}
	if v := value(t, s, "conntally_conntrack_last_dump_age_seconds"); v != 10 {
		t.Errorf("without a dump %v", v)
	}
	s.Probe.Dumped.Store(107 * second)
	if v := value(t, s, "conntally_conntrack_last_dump_age_seconds"); v != 3 {
		t.Errorf("after a dump %v", v)
	}
}

// TestProcessMetrics: those of the process and the Go runtime, not those of the router.
func TestProcessMetrics(t *testing.T) {
	families := parsed(t, pageOf(newSources()))
	for name, minimum := range map[string]float64{
		"process_cpu_seconds_total": 0, "process_resident_memory_bytes": 1 << 20,
		"process_virtual_memory_bytes": 1 << 21,
		"process_open_fds":             3, "process_max_fds": 16, "process_start_time_seconds": 1_700_000_000,
		"go_goroutines": 2, "go_memstats_heap_alloc_bytes": 1 << 10, "go_gc_cycles_total": 0,
	} {
		if v, found := families.Value(name); !found || !(v >= minimum) {
			t.Errorf("%s %v %v", name, v, found)
		}
	}
	for name := range families {
		if strings.Contains(name, "_network_") {
			t.Errorf("%s is of the whole router", name)
		}
	}
}

// TestPanicHidesNoOtherMetric: a panic while one metric is read is counted, and the others
// are still shown.
func TestPanicHidesNoOtherMetric(t *testing.T) {
	s := newSources()
	s.Sysctl = func(string) (int, error) { panic("a fault") }
	families := parsed(t, pageOf(s))
	if _, found := families.Value("conntally_flows"); !found {
		t.Error("the flows are missing as well")
	}
	if n := value(t, s, "conntally_http_panics_total"); n == 0 {
		t.Error("not counted")
	}
}

// TestDuplicateCollectorHidesNoOtherMetric: the duplicate's samples are left out.
func TestDuplicateCollectorHidesNoOtherMetric(t *testing.T) {
	families := parsed(t, pageOf(newSources("192.0.2.1:2055", "192.0.2.1:2055", "192.0.2.2:2055")))
	if n := len(families["conntally_export_datagrams_total"].GetMetric()); n != 2 {
		t.Errorf("%d collectors, want 2", n)
	}
	if _, found := families.Value("conntally_flows"); !found {
		t.Error("the flows are missing as well")
	}
}

// TestConfiguredLabelsRepeatNone: a label that a metric has already would stop the program.
func TestConfiguredLabelsRepeatNone(t *testing.T) {
	s := newSources("192.0.2.10:2055")
	s.Usage = func() *Usage {
		return &Usage{
			Interfaces: make([]InterfaceUsage, 1), Traffic: make([]TrafficUsage, 1),
			Devices: []DeviceUsage{{Scopes: make([]ScopeUsage, 1)}},
		}
	}
	families, err := s.gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]bool{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				own[l.GetName()] = true
			}
		}
	}
	if !own["scope"] || !own["interface"] || !own["condition"] {
		t.Errorf("not all metrics are there: labels %v", own)
	}
	for name := range own {
		c, refused := config.Default(), false
		c.Metrics.Labels = config.Labels{name: "x"}
		c.Check(func(table any, key, _ string) {
			refused = refused || table == &c.Metrics && key == "labels"
		})
		if !refused {
			t.Errorf("a label %q may be configured", name)
		}
	}
}

package probe

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/internal/logging"
	"github.com/conntally/conntally/cmd/internal/notify"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
)

// reloading is a probe and the file that it reloads.
type reloading struct {
	t      *testing.T
	path   string
	log    bytes.Buffer
	kernel *conntracktest.Kernel
	*Probe
	*reloader
	args     []string
	notified []string // lines sent to the service manager
}

func newReloading(t *testing.T, text string, args ...string) *reloading {
	t.Helper()
	r := &reloading{t: t, path: filepath.Join(t.TempDir(), "conntally.toml")}
	r.write(text)
	args = append([]string{"--config", r.path}, args...)
	r.args = args
	c, err := r.loadArgs()
	if err != nil {
		t.Fatal(err)
	}
	level := zap.NewAtomicLevelAt(c.Log.Level.Level)
	k := conntracktest.New()
	r.kernel = k
	log := logging.New(&r.log, logging.FormatConsole, level)
	m := &recorder{on: func(line string) { r.notified = append(r.notified, line) }}
	list := targets(c.Collectors, export.RecordOptions{})
	collectors := openCollectors(t.Context(), list, k.Clock(), log)
	r.Probe = fakeProbe(k.Reader(), k.Clock(), m, collectors...)
	t.Cleanup(func() { r.exporter.Close(k.Clock()()) })
	r.Probe.log, r.options.Level, r.ready, r.apply = log, level, true, r.table.Apply
	r.Probe.reloads = make(chan reloadRequest, 1)
	r.config, r.options.Load = c, r.loadArgs
	r.reloader = r.Probe.reloader()
	return r
}

// loadArgs reads the configuration as `conntally run` does.
func (r *reloading) loadArgs() (*config.Config, error) {
	c, _, err := config.Load(func(bind func(*flag.FlagSet)) error {
		fs := flag.NewFlagSet("run", flag.ContinueOnError)
		bind(fs)
		return fs.Parse(r.args)
	})
	return c, err
}

func (r *reloading) write(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// reload reloads with text and returns the log of it.
func (r *reloading) reload(text string) string {
	r.t.Helper()
	r.write(text)
	r.log.Reset()
	r.Probe.reloads <- r.prepare(r.t.Context())
	r.takeReload()
	return r.log.String()
}

// collectorSection returns the section of a collector at address.
func collectorSection(address string) string {
	return fmt.Sprintf("[[collector]]\naddress = %q\n", address)
}

func listener(t *testing.T) string {
	t.Helper()
	server, err := listenLoopback()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server.LocalAddr().(*net.UDPAddr).String()
}

// TestReloadKeepsUnchangedCollectors: one that is in both configurations is not replaced.
func TestReloadKeepsUnchangedCollectors(t *testing.T) {
	a, b, c := listener(t), listener(t), listener(t)
	r := newReloading(t, collectorSection(a)+collectorSection(b))
	stays := r.exporter.Collectors[1]
	r.exporter.Collectors[0].Stats.Dropped.Add(7)
	log := r.reload(collectorSection(c) + collectorSection(b))
	got := r.exporter.Collectors
	if len(got) != 2 || got[0].Config.Address != c || got[1] != stays {
		t.Errorf("now exports to %+v", got)
	}
	if !slices.Equal(*r.collectors.Load(), got) {
		t.Error("the metrics show other collectors")
	}
	if n := r.totals().dropped; n != 7 {
		t.Errorf("%d records dropped in all, want the 7 of the removed collector", n)
	}
	for _, want := range []string{
		`changed": ["[[collector]]"]`,
		`no longer exporting  {"collector": "` + a,
		`exporting  {"collector": "` + c,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("not logged: %s\n%s", want, log)
		}
	}
	if strings.Contains(log, b) {
		t.Errorf("logged for the one that stays:\n%s", log)
	}
	// The same address with another protocol is another collector.
	r.reload(collectorSection(c) + collectorSection(b) + "protocol = \"netflow9\"\n")
	if got := r.exporter.Collectors; got[1] == stays || got[1].Config.Protocol != export.NetFlow9 {
		t.Errorf("now exports to %+v", got)
	}
}

// TestReloadReopensChangedCollectors: one with another interface or interval is another collector.
func TestReloadReopensChangedCollectors(t *testing.T) {
	at := listener(t)
	r := newReloading(t, collectorSection(at))
	for _, key := range []string{
		`interface = "lo"`, `interface = "lo"` + "\n" + `template_interval = "5s"`, "",
	} {
		was := r.exporter.Collectors[0]
		r.reload(collectorSection(at) + key + "\n")
		got := r.exporter.Collectors
		if len(got) != 1 || got[0] == was || len(got) == 1 && got[0].Stats.DialErrors.Load() != 0 {
			t.Errorf("with %s exports to %+v", key, got)
		}
	}
	if log := r.reload(collectorSection(at) + "interface = \"vpn0\"\n"); !strings.Contains(log,
		"there is no interface vpn0") {
		t.Errorf("logged\n%s", log)
	}
}

// TestReloadAppliesSettings: all that can change while running; the others are logged.
func TestReloadAppliesSettings(t *testing.T) {
	at := listener(t)
	r := newReloading(t, collectorSection(at))
	r.dump()
	r.pacer.reconfigure(time.Hour, 1)
	log := r.reload(collectorSection(at) + `
[conntrack]
poll_interval = "3s"
max_cpu = 5.0
reliable = true
[devices]
enable = false
[metrics]
listen = "127.0.0.1:1"
[log]
level = "debug"
`)
	if c := r.config; c.Conntrack.Reliable || !c.Devices.Enable || c.Metrics.Listen != "" {
		t.Errorf("in force without a restart: %+v", c)
	}
	shown := time.Duration(r.Stats.Interval.Load())
	if r.pacer.poll != 3*time.Second || r.pacer.maxCPU != 0.05 || shown != 3*time.Second {
		t.Errorf("interval %v, shown %v, maxCPU %v", r.pacer.poll, shown, r.pacer.maxCPU)
	}
	if r.pacer.next != r.pacer.began+int64(3*time.Second) {
		t.Errorf("the next poll is %v after the last", time.Duration(r.pacer.next-r.pacer.began))
	}
	if r.options.Level.Level() != zapcore.DebugLevel {
		t.Errorf("logs from %v on", r.options.Level.Level())
	}
	want := `"need_restart": ["[conntrack] reliable", "[devices] enable", "[metrics] listen"]`
	if !strings.Contains(log, want) {
		t.Errorf("not logged: %s\n%s", want, log)
	}
	r.waiting("[conntrack] reliable, [devices] enable, [metrics] listen")
	if n := r.notified; len(n) != 2 || n[1] != notify.Ready ||
		!strings.HasPrefix(n[0], "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("notified the service manager of %q", n)
	}
	// A reload that is refused changes nothing about it; each other logs it until the change is
	// undone.
	r.reload("[no")
	r.waiting("[conntrack] reliable, [devices] enable, [metrics] listen")
	log = r.reload(collectorSection(at) + "[conntrack]\nreliable = true\n")
	if !strings.Contains(log, `["[conntrack] reliable"]`) {
		t.Errorf("not logged again:\n%s", log)
	}
	r.waiting("[conntrack] reliable")
	if log := r.reload(collectorSection(at)); strings.Contains(log, "need") {
		t.Errorf("logged without a change:\n%s", log)
	}
	r.waiting("")
}

// waiting compares the keys that wait for a restart, as /healthz, metrics and `status` have them.
func (r *reloading) waiting(want string) {
	r.t.Helper()
	got := ""
	for _, c := range r.conditions.Snapshot() {
		if c.ID == condition.RestartNeeded {
			got = c.Detail
		}
	}
	if got != want {
		r.t.Errorf("%q wait for a restart, want %q", got, want)
	}
}

// TestReloadAppliesFilters: from the next dump on, in both directions.
func TestReloadAppliesFilters(t *testing.T) {
	at := listener(t)
	r := newReloading(t, collectorSection(at))
	for _, port := range []uint16{53, 443} {
		r.kernel.Create(conntrack.Event{Orig: conntrack.Tuple{
			Family: unix.AF_INET, Proto: conntrack.ProtoUDP, SrcPort: 1024, DstPort: port,
			Src: conntrack.AddrFrom(netip.MustParseAddr("192.168.77.10")),
			Dst: conntrack.AddrFrom(netip.MustParseAddr("198.51.100.20")),
		}})
	}
	for _, c := range []struct {
		filter string
		want   int64
	}{
		{"", 2},
		{excludeSection(`ports = [53]`), 1},
		{includeSection(`ports = [53]`) + excludeSection(""), 1},
		{excludeSection(""), 0},
		{"", 2},
	} {
		r.reload(collectorSection(at) + c.filter)
		r.dump()
		if n := r.table.Stats.Flows.Load(); n != c.want {
			t.Errorf("%q: %d flows, want %d", c.filter, n, c.want)
		}
	}
}

// TestRejectedReloadChangesNothing: an invalid configuration leaves the old one in force.
func TestRejectedReloadChangesNothing(t *testing.T) {
	at := listener(t)
	for text, want := range map[string]string{
		collectorSection(at) + "[flow]\nnat = \"some\"\n[log]\n" +
			"level = \"loud\"": `:4: [flow] nat = \"some\": want \"endpoints\" or \"wire\"`,
		"[log]\nlevel = \"info\"": "no [[collector]] is left",
		"\x00":                    "files cannot contain NULL bytes",
	} {
		r := newReloading(t, collectorSection(at)+"[conntrack]\npoll_interval = \"3s\"\n")
		before, inForce := r.exporter.Collectors, r.inForce
		if log := r.reload(text); !strings.Contains(log, "the old one stays in force") ||
			!strings.Contains(log, want) {
			t.Errorf("not logged: %s\n%s", want, log)
		}
		if !slices.Equal(r.exporter.Collectors, before) || r.inForce != inForce {
			t.Error("something changed")
		}
		if len(r.notified) != 2 || r.notified[1] != notify.Ready {
			t.Errorf("notified the service manager of %q", r.notified)
		}
		r.counts(1, 1)
		r.reload(collectorSection(at))
		r.counts(2, 0)
	}
}

// TestReloadRejectsFIFO: and the next reload from a regular file succeeds.
func TestReloadRejectsFIFO(t *testing.T) {
	at := listener(t)
	r := newReloading(t, collectorSection(at))
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(r.path, 0o600); err != nil {
		t.Fatal(err)
	}
	r.Probe.reloads <- r.prepare(t.Context())
	r.takeReload()
	if log := r.log.String(); !strings.Contains(log, "is a FIFO, not a regular file") {
		t.Errorf("logged %s", log)
	}
	r.counts(1, 1)
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	r.reload(collectorSection(at))
	r.counts(2, 0)
}

// counts compares the metrics of reloads.
func (r *reloading) counts(reloads, refused uint64) {
	r.t.Helper()
	if n, now := r.Stats.Reloads.Load(), r.Stats.Refused.Load(); n != reloads || now != refused {
		r.t.Errorf("%d reloads, refused %d, want %d and %d", n, now, reloads, refused)
	}
}

// TestReloadBeforeReadyDoesNotReportReady: the service manager waits for the first dump.
func TestReloadBeforeReadyDoesNotReportReady(t *testing.T) {
	at := listener(t)
	r := newReloading(t, collectorSection(at))
	r.ready = false
	r.reload(collectorSection(at))
	if slices.Contains(r.notified, notify.Ready) {
		t.Errorf("notified the service manager of %q", r.notified)
	}
}

// TestReloadKeepsFlags: flags take precedence over the file as at the start.
func TestReloadKeepsFlags(t *testing.T) {
	a, b := listener(t), listener(t)
	r := newReloading(t, "", "--collector", a, "--poll-interval", "5s")
	r.reload(collectorSection(b) + "[conntrack]\npoll_interval = \"3s\"\nmax_cpu = 2.0\n")
	target := r.exporter.Collectors[0].Config
	if target.Address != a || r.pacer.poll != 5*time.Second || r.pacer.maxCPU != 0.02 {
		t.Errorf("%v, %+v", target, r.pacer)
	}
}

// TestReloadStopsAndResumesPrinting: flows are printed while there is no collector.
func TestReloadStopsAndResumesPrinting(t *testing.T) {
	a := listener(t)
	r := newReloading(t, "")
	r.printTo(io.Discard)
	r.reloader = r.Probe.reloader()
	prints := func() bool { return slices.Contains(r.sinks, flow.Sink(r.printer)) }
	if !prints() {
		t.Fatal("nothing is printed")
	}
	ends := shortFlows(1)
	end := func(e *conntrack.Event) {
		e.At = r.Probe.clock()
		e.Start, e.Stop = e.At.Wall, e.At.Wall
		r.table.Apply(e)
	}
	end(&ends[0])
	r.reload(collectorSection(a))
	end(&ends[1])
	if list := r.exporter.Collectors; prints() || len(list) != 1 || list[0].Config.Address != a {
		t.Errorf("no change to a collector: %v", r.sinks)
	}
	r.reload("")
	if !prints() || len(r.exporter.Collectors) != 0 {
		t.Errorf("no change back to printing: %v", r.sinks)
	}
	r.sinks.Flush(r.Probe.clock())
	err, printed := r.printer.Close(patience), r.printer.Stats.Printed.Load()
	if err != nil || printed != 1 {
		t.Errorf("%d records were printed before the change, want 1: %v", printed, err)
	}
}

// TestMetricsFollowReloadedCollectors: the metrics show those of the configuration in force.
func TestMetricsFollowReloadedCollectors(t *testing.T) {
	a, b := listener(t), listener(t)
	r := newReloading(t, collectorSection(a))
	r.collectors.Store(&r.exporter.Collectors)
	shows := func(collector string) bool {
		w := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.sources().Handler(false).ServeHTTP(w, request)
		sample := fmt.Sprintf("conntally_export_datagrams_total{collector=%q,", collector)
		return strings.Contains(w.Body.String(), sample)
	}
	if !shows(a) || shows(b) {
		t.Error("before")
	}
	r.reload(collectorSection(b))
	if shows(a) || !shows(b) {
		t.Error("after")
	}
}

func includeSection(conditions string) string {
	return "[[filter]]\naction = \"include\"\n" + conditions + "\n"
}

func excludeSection(conditions string) string {
	return "[[filter]]\naction = \"exclude\"\n" + conditions + "\n"
}

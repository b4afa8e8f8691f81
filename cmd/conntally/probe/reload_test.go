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

	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/internal/logging"
	"github.com/conntally/conntally/cmd/internal/notify"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
)

// reloading is a probe and a file that it is reloaded from.
type reloading struct {
	t      *testing.T
	path   string
	log    bytes.Buffer
	kernel *conntracktest.Kernel
	*Probe
	*reloader
	args []string
	told []string
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
	h := &heard{tell: func(line string) { r.told = append(r.told, line) }}
	r.Probe = fakeProbe(k.Reader(), k.Clock(), h, openCollectors(t.Context(), targets(c.Collectors, export.Optional{}), k.Clock(), log)...)
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

// reload reloads and returns what the log says of it.
func (r *reloading) reload(text string) string {
	r.t.Helper()
	r.write(text)
	r.log.Reset()
	r.Probe.reloads <- r.prepare(r.t.Context())
	r.takeReload()
	return r.log.String()
}

// collector is the section of one at some port.
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

func TestReloadCollectors(t *testing.T) {
	a, b, c := listener(t), listener(t), listener(t)
	r := newReloading(t, collectorSection(a)+collectorSection(b))
	stays := r.exporter.Collectors[1]
	r.exporter.Collectors[0].Stats.Unsent.Add(7)
	said := r.reload(collectorSection(c) + collectorSection(b))
	got := r.exporter.Collectors
	if len(got) != 2 || got[0].Target.Address != c || got[1] != stays {
		t.Errorf("now exports to %+v", got)
	}
	if !slices.Equal(*r.collectors.Load(), got) {
		t.Error("the metrics show other collectors")
	}
	if n := r.totals().unsent; n != 7 {
		t.Errorf("%d records unsent in all, want those of the one that is gone", n)
	}
	for _, want := range []string{`changed": ["[[collector]]"]`, "no longer exporting  {\"collector\": \"" + a, "exporting  {\"collector\": \"" + c} {
		if !strings.Contains(said, want) {
			t.Errorf("not said: %s\n%s", want, said)
		}
	}
	if strings.Contains(said, b) {
		t.Errorf("said of the one that stays:\n%s", said)
	}
	// The same address in another way is another collector.
	r.reload(collectorSection(c) + collectorSection(b) + "protocol = \"netflow9\"\n")
	if got := r.exporter.Collectors; got[1] == stays || got[1].Target.Protocol != export.NetFlow9 {
		t.Errorf("now exports to %+v", got)
	}
}

func TestReloadSettings(t *testing.T) {
	at := listener(t)
	r := newReloading(t, collectorSection(at))
	r.dump()
	r.pacer.reconfigure(time.Hour, 1)
	said := r.reload(collectorSection(at) + `
[conntrack]
poll_interval = "3s"
max_cpu = 5.0
reliable = true
[metrics]
listen = "127.0.0.1:1"
[log]
level = "warn"
`)
	if r.pacer.poll != 3*time.Second || r.pacer.maxCPU != 0.05 || time.Duration(r.Stats.Interval.Load()) != 3*time.Second {
		t.Errorf("polls each %v, of at most %v", r.pacer.poll, r.pacer.maxCPU)
	}
	if r.pacer.next != r.pacer.began+int64(3*time.Second) {
		t.Errorf("the next poll is %v after the last", time.Duration(r.pacer.next-r.pacer.began))
	}
	if r.options.Level.Level() != zapcore.WarnLevel {
		t.Errorf("logs from %v on", r.options.Level.Level())
	}
	if want := `["[conntrack] reliable", "[metrics] listen"]`; !strings.Contains(said, "wait for a restart") || !strings.Contains(said, want) {
		t.Errorf("not said: %s\n%s", want, said)
	}
	if len(r.told) != 2 || !strings.HasPrefix(r.told[0], "RELOADING=1\nMONOTONIC_USEC=") || r.told[1] != notify.Ready {
		t.Errorf("told the service manager %q", r.told)
	}
	// It goes on being said, until it is taken back.
	if said := r.reload(collectorSection(at) + "[conntrack]\nreliable = true\n"); !strings.Contains(said, `["[conntrack] reliable"]`) {
		t.Errorf("not said again:\n%s", said)
	}
	if said := r.reload(collectorSection(at)); strings.Contains(said, "restart") {
		t.Errorf("said of nothing:\n%s", said)
	}
}

func TestReloadFilters(t *testing.T) {
	at := listener(t)
	r := newReloading(t, collectorSection(at))
	for _, port := range []uint16{53, 443} {
		r.kernel.Create(conntrack.Event{Orig: conntrack.Tuple{
			Family: unix.AF_INET, Proto: conntrack.ProtoUDP, SrcPort: 1024, DstPort: port,
			Src: conntrack.AddrFrom(netip.MustParseAddr("192.168.77.10")), Dst: conntrack.AddrFrom(netip.MustParseAddr("198.51.100.20")),
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

// What can't be taken over leaves all as it was.
func TestReloadRefused(t *testing.T) {
	at := listener(t)
	for text, want := range map[string]string{
		collectorSection(at) + "[flow]\nnat = \"some\"\n[log]\nlevel = \"loud\"": `:4: [flow] nat = \"some\": want \"endpoints\" or \"wire\"`,
		"[log]\nlevel = \"info\"": "no [[collector]] any more",
		"\x00":                    "files cannot contain NULL bytes",
	} {
		r := newReloading(t, collectorSection(at)+"[conntrack]\npoll_interval = \"3s\"\n")
		before := r.exporter.Collectors
		if said := r.reload(text); !strings.Contains(said, "the one in force stays") || !strings.Contains(said, want) {
			t.Errorf("not said: %s\n%s", want, said)
		}
		if !slices.Equal(r.exporter.Collectors, before) || r.inForce != r.started {
			t.Error("something changed")
		}
		if len(r.told) != 2 || r.told[1] != notify.Ready {
			t.Errorf("told the service manager %q", r.told)
		}
		r.counts(1, 1)
		r.reload(collectorSection(at))
		r.counts(2, 0)
	}
}

// A path that no longer leads to a file refuses one reload, and not those after it.
func TestReloadFromFIFO(t *testing.T) {
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
	if said := r.log.String(); !strings.Contains(said, "is a FIFO, not a regular file") {
		t.Errorf("said %s", said)
	}
	r.counts(1, 1)
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	r.reload(collectorSection(at))
	r.counts(2, 0)
}

// counts compares what the metrics say of reloads.
func (r *reloading) counts(reloads, refused uint64) {
	r.t.Helper()
	if n, now := r.Stats.Reloads.Load(), r.Stats.Refused.Load(); n != reloads || now != refused {
		r.t.Errorf("%d reloads, refused %d, want %d and %d", n, now, reloads, refused)
	}
}

// A reload doesn't make ready what wasn't: the service manager waits for the first dump.
func TestReloadBeforeReady(t *testing.T) {
	at := listener(t)
	r := newReloading(t, collectorSection(at))
	r.ready = false
	r.reload(collectorSection(at))
	if slices.Contains(r.told, notify.Ready) {
		t.Errorf("told the service manager %q", r.told)
	}
}

// Flags go over the file at a reload as at the start.
func TestReloadKeepsFlags(t *testing.T) {
	a, b := listener(t), listener(t)
	r := newReloading(t, "", "--collector", a, "--poll-interval", "5s")
	r.reload(collectorSection(b) + "[conntrack]\npoll_interval = \"3s\"\nmax_cpu = 2.0\n")
	if r.exporter.Collectors[0].Target.Address != a || r.pacer.poll != 5*time.Second || r.pacer.maxCPU != 0.02 {
		t.Errorf("%v, %+v", r.exporter.Collectors[0].Target, r.pacer)
	}
}

// Where flows are printed, they go on being printed for want of a collector.
func TestReloadWhilePrinting(t *testing.T) {
	a := listener(t)
	r := newReloading(t, "")
	r.printTo(io.Discard)
	r.reloader = r.Probe.reloader()
	prints := func() bool { return slices.Contains(r.sinks, flow.Sink(r.printer)) }
	if !prints() {
		t.Fatal("nothing is printed")
	}
	r.sinks.Export(&flow.Pair{{At: r.Probe.clock(), Packets: 1, Bytes: 100}})
	r.reload(collectorSection(a))
	if prints() || len(r.exporter.Collectors) != 1 || r.exporter.Collectors[0].Target.Address != a {
		t.Errorf("no change to a collector: %v", r.sinks)
	}
	r.reload("")
	if !prints() || len(r.exporter.Collectors) != 0 {
		t.Errorf("no change back to printing: %v", r.sinks)
	}
	if err := r.printer.Close(patience); err != nil || r.printer.Stats.Printed.Load() != 1 {
		t.Errorf("%d records were printed before the change, want 1: %v", r.printer.Stats.Printed.Load(), err)
	}
}

// The metrics show the collectors that there are.
func TestReloadMetrics(t *testing.T) {
	a, b := listener(t), listener(t)
	r := newReloading(t, collectorSection(a))
	r.collectors.Store(&r.exporter.Collectors)
	shows := func(collector string) bool {
		w := httptest.NewRecorder()
		r.sources().Handler(false).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return strings.Contains(w.Body.String(), fmt.Sprintf("conntally_export_datagrams_total{collector=%q,", collector))
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

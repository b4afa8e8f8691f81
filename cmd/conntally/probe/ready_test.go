package probe

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/internal/notify"
	"github.com/conntally/conntally/cmd/internal/notify/notifytest"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/account"
	"github.com/conntally/conntally/flow/route"
)

// asHangingProbe is the variable that makes the test binary a probe whose reader hangs.
const asHangingProbe = "CONNTALLY_TEST_HANGING_PROBE"

func TestMain(m *testing.M) {
	if os.Getenv(asHangingProbe) != "" {
		runHangingProbe()
	}
	os.Exit(m.Run())
}

// fakeProbe returns a probe that reads a fake kernel.
func fakeProbe(
	reader *ctnetlink.Reader, clock conntrack.Clock, m manager, collectors ...*export.Collector,
) *Probe {
	exporter := &export.Exporter{Collectors: collectors}
	p := &Probe{
		conditions: condition.NewTracker(zap.NewNop()), readKernel: healthyKernel,
		config: config.Default(),
		reader: unattached(reader, clock), clock: clock, exporter: exporter, log: zap.NewNop(), manager: m,
		routes: new(route.Resolver), accounts: account.New(account.Options{}),
		questions: newQuestions(clock, reader.Interrupt),
		table:     flow.NewTable(flow.Options{}, &conntrack.Timeouts{}, exporter, clock()),
	}
	p.pacer = newPacer(time.Second, 1, 1<<20, &p.Stats)
	return p
}

// recorder is a service manager in the same process. It records the lines it is sent.
type recorder struct {
	lines []string
	on    func(line string)
}

func (r *recorder) Alive(now int64) int64 { return now + int64(time.Second) }

func (r *recorder) Notify(lines ...string) {
	r.lines = append(r.lines, lines...)
	for _, line := range lines {
		r.on(line)
	}
}

// TestReadyAfterDumpAndTemplates: the probe reports that it is ready once a dump has
// succeeded and the collector has the templates.
func TestReadyAfterDumpAndTemplates(t *testing.T) {
	server, err := listenLoopback()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	k := conntracktest.New()
	k.FailDump(unix.EBUSY)
	k.Create(conntrack.Event{Orig: conntrack.Tuple{
		Family: unix.AF_INET, Proto: conntrack.ProtoUDP, SrcPort: 1024, DstPort: 53,
		Src: conntrack.AddrFrom(netip.MustParseAddr("192.168.77.10")),
		Dst: conntrack.AddrFrom(netip.MustParseAddr("198.51.100.20")),
	}})
	target := export.CollectorConfig{Address: server.LocalAddr().String(), Protocol: export.IPFIX}
	collector := export.NewCollector(target, k.Clock())
	if err := collector.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := new(recorder)
	p := fakeProbe(k.Reader(), k.Clock(), r, collector)
	r.on = func(line string) {
		if line != notify.Ready {
			return
		}
		cancel()
		if dumps, failed := p.reader.Stats.Dumps.Load(), p.Stats.FailedDumps.Load(); dumps != 1 ||
			failed != 1 {
			t.Errorf("ready after %d dumps and %d that failed; want 1 and 1", dumps, failed)
		}
		if n := p.table.Stats.Flows.Load(); n != 1 {
			t.Errorf("ready with %d connections, want 1", n)
		}
		expectTemplates(t, server)
	}
	if err := p.loop(ctx); err != nil {
		t.Fatal(err)
	}
	if n := len(r.lines); n < 3 || r.lines[0] != notify.Ready || r.lines[n-1] != notify.Stopping {
		t.Errorf("notified %q", r.lines)
	}
}

// expectTemplates fails unless the first datagram has arrived and has templates.
func expectTemplates(t *testing.T, server *net.UDPConn) {
	t.Helper()
	b := make([]byte, 1<<16)
	if err := server.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	n, from, err := server.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatalf("ready without templates: %v", err)
	}
	m, err := decode.New(decode.Options{}).Decode(b[:n], from)
	if err != nil || m.Templates == 0 {
		t.Errorf("ready, and the first datagram is %+v, %v", m, err)
	}
}

// TestStatusEveryMinute: the service manager gets a status line every minute.
func TestStatusEveryMinute(t *testing.T) {
	k := conntracktest.New()
	ctx, cancel := context.WithCancel(t.Context())
	var status []string
	r := &recorder{on: func(line string) {
		if text, ok := strings.CutPrefix(line, "STATUS="); ok {
			if status = append(status, text); len(status) == 3 {
				cancel()
			}
		}
	}}
	p := fakeProbe(k.Reader(), k.Clock(), r)
	began := k.Clock()()
	if err := p.loop(ctx); err != nil {
		t.Fatal(err)
	}
	if took := time.Duration(k.Clock()().Mono - began.Mono); took < 2*summaryInterval ||
		took > 3*summaryInterval {
		t.Errorf("three lines in %v: %q", took, status)
	}
	const want = "0 connections; in the last minute 0 ended, 0 records, 0 events lost"
	if status[2] != want {
		t.Errorf("%q, want %q", status[2], want)
	}
}

const watchdogPeriod = 600 * time.Millisecond

// TestHangingReaderSendsNoHeartbeats: so the service manager ends it, and the trace shows
// where it hung.
func TestHangingReaderSendsNoHeartbeats(t *testing.T) {
	s := notifytest.New(t, watchdogPeriod)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asHangingProbe+"=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() //nolint:errcheck // it has ended unless the test failed
	s.Until(notify.Ready)
	for range 3 {
		s.Until("WATCHDOG=1")
	}
	stdin.Close() // from here on it hangs
	heartbeats := 0
	for ; s.Receive(watchdogPeriod) != nil; heartbeats++ {
		if heartbeats > 3 {
			t.Fatal("heartbeats from a probe whose reader hangs")
		}
	}
	if err := cmd.Process.Signal(syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("ended with %v, want the exit code 2 of the Go runtime", err)
	}
	if trace := stderr.String(); !strings.Contains(trace, "SIGABRT") ||
		!strings.Contains(trace, "hangingSocket).Recv") {
		t.Errorf("the trace doesn't show where it hung:\n%s", trace)
	}
}

// runHangingProbe runs a probe whose event socket hangs once standard input ends.
func runHangingProbe() {
	var hung atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		hung.Store(true)
	}()
	events, dumps := conntracktest.New().Sockets()
	clock := conntrack.SystemClock()
	reader := ctnetlink.NewReader(&hangingSocket{events, &hung}, dumps, clock)
	p := fakeProbe(reader, clock, notify.New(func(err error) { panic(err) }))
	panic(p.loop(context.Background()))
}

// hangingSocket waits in real time, and forever once it hangs.
type hangingSocket struct {
	ctnetlink.Socket
	hung *atomic.Bool
}

func (s *hangingSocket) Recv(wait time.Duration) ([]byte, error) {
	if s.hung.Load() {
		time.Sleep(time.Hour) // without a timer the runtime would report a deadlock
	}
	time.Sleep(max(wait, 0))
	return s.Socket.Recv(0)
}

func listenLoopback() (*net.UDPConn, error) {
	return net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
}

// healthyKernel returns a kernel without any condition.
func healthyKernel(condition.Ask) *condition.Kernel {
	return &condition.Kernel{
		Clock:   condition.Clock{Now: time.Unix(1_700_000_000, 0), Synced: true},
		Tracked: condition.TrackingOn,
	}
}

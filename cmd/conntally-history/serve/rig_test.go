package serve

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/cmd/conntally-history/config"
	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/internal/logging"
	"github.com/conntally/conntally/cmd/internal/setting"
	"github.com/conntally/conntally/conntrack"
)

// asService makes the test binary a service of its own, for tests that kill it: it is the
// interval of its flushes. The arguments are the path of the database and where the page is
// served.
const asService = "CONNTALLY_TEST_AS_SERVICE"

// patience bounds every wait of these tests; none is expected to take this long.
const patience = time.Minute

func TestMain(m *testing.M) {
	flush, err := time.ParseDuration(os.Getenv(asService))
	if err != nil {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c := testConfig(flush)
	c.Web.Enable, c.Web.Listen = os.Args[2] != "", setting.Listen(os.Args[2])
	log := logging.New(os.Stderr, logging.FormatJSON, zap.InfoLevel)
	s, err := New(ctx, Options{
		Config: c, Database: os.Args[1], Log: log, Clock: conntrack.SystemClock(),
		Calendar: usage.Calendar{Location: time.UTC},
	})
	if err == nil {
		err = s.Run(ctx)
		s.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func testConfig(flush time.Duration) *config.Config {
	c := config.Default()
	c.Collector.Address = address
	c.Devices.Leases = nil
	c.Database.FlushInterval = config.Duration(flush)
	c.Web.Enable = false
	return c
}

const address = "127.0.0.1:2056"

// process is a service in a process of its own.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	output strings.Builder
	ended  chan error
}

// start starts a service in the network namespace of the calling thread.
func start(t *testing.T, database, web string, flush time.Duration) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0], database, web), ended: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), asService+"="+flush.String())
	p.cmd.Stderr = &p.output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // it may have ended
	go func() { p.ended <- p.cmd.Wait() }()
	return p
}

// kill kills the service and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// stop ends the service in order.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("%v\n%s", err, &p.output)
	}
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Fatalf("%v\n%s", err, &p.output)
		}
	case <-time.After(patience):
		p.t.Fatal("it doesn't end")
	}
}

// exporter sends IPFIX. Each record counts one packet of bytes bytes.
type exporter struct {
	t        testing.TB
	conn     *net.UDPConn
	sequence uint32
	messages int
	bytes    uint64
	sent     uint64 // bytes that its records counted
}

func newExporter(t testing.TB) *exporter {
	t.Helper()
	return newExporterAt(t, "127.0.0.1")
}

// newExporterAt returns one that sends from an address.
func newExporterAt(t testing.TB, from string) *exporter {
	t.Helper()
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)},
		net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &exporter{t: t, conn: conn, bytes: 1}
}

// elements of the template: addresses, ports, protocol, counters, times.
func elements() []uint16 { return []uint16{8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 1, 8, 2, 8, 152, 8, 153, 8} }

func set(id uint16, content []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	return append(binary.BigEndian.AppendUint16(b, uint16(4+len(content))), content...)
}

// template is the template set.
func template() []byte {
	all := elements()
	b := binary.BigEndian.AppendUint16(nil, 300)
	b = binary.BigEndian.AppendUint16(b, uint16(len(all)/2))
	for _, n := range all {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return set(2, b)
}

// record is one of host n of a LAN, to one of many destinations.
func (e *exporter) record(n int, now time.Time) []byte {
	b := append([]byte{192, 168, 1, byte(1 + n%50)}, 198, 51, 100, byte(n/50%250))
	b = append(b, 0x80, byte(n), 1, 0xbb, 6)
	b = binary.BigEndian.AppendUint64(b, e.bytes)
	b = binary.BigEndian.AppendUint64(b, 1)
	b = binary.BigEndian.AppendUint64(b, uint64(now.Add(-10*time.Second).UnixMilli()))
	return binary.BigEndian.AppendUint64(b, uint64(now.UnixMilli()))
}

// send sends a message of so many records, with the template in each twentieth message. It
// reports whether the kernel took it.
func (e *exporter) send(records int) bool {
	now := time.Now()
	var body []byte
	if e.messages%20 == 0 {
		body = template()
	}
	var data []byte
	for i := range records {
		data = append(data, e.record(int(e.sequence)+i, now)...)
	}
	if records > 0 {
		body = append(body, set(300, data)...)
	}
	b := binary.BigEndian.AppendUint16(nil, 10)
	b = binary.BigEndian.AppendUint16(b, uint16(16+len(body)))
	b = binary.BigEndian.AppendUint32(b, uint32(now.Unix()))
	b = binary.BigEndian.AppendUint32(b, e.sequence)
	b = binary.BigEndian.AppendUint32(b, 7)
	_, err := e.conn.Write(append(b, body...))
	e.messages++
	e.sequence += uint32(records)
	e.sent += uint64(records) * e.bytes
	return err == nil
}

// untilReceived sends single records until the service reads them, as the kernel refuses them
// before. Each has the template with it, or none has.
func (e *exporter) untilReceived(withTemplate bool) {
	e.t.Helper()
	single := func() bool {
		e.messages = 1
		if withTemplate {
			e.messages = 0
		}
		return e.send(1)
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		first, second := single(), single() // the first shows the error of the one before it
		if first && second {
			time.Sleep(5 * time.Millisecond)
			if single() {
				return
			}
		}
	}
	e.t.Fatal("nothing is received")
}

// stored is what a database has.
type stored struct {
	usage.Intake
	devices map[string]usage.Usage
	bytes   uint64 // of all devices
	by      uint64 // bytes of all destinations
}

func read(t testing.TB, database string) stored {
	t.Helper()
	ctx := context.Background()
	r, err := store.OpenReader(ctx, database, usage.Calendar{Location: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	span := store.Span{From: time.Now().AddDate(0, 0, -2), To: time.Now().AddDate(0, 0, 2)}
	all := stored{devices: map[string]usage.Usage{}}
	devices, err := r.Devices(ctx, span)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		all.devices[d.ID] = d.Usage
		all.bytes += d.WAN.UpBytes + d.WAN.DownBytes
	}
	exporters, err := r.Exporters(ctx, span)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range exporters {
		all.Add(x.Intake)
	}
	destinations, err := r.Destinations(ctx, span)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range destinations {
		all.by += d.WAN.UpBytes + d.WAN.DownBytes
	}
	return all
}

func enter(t *testing.T) (database string) {
	t.Helper()
	labtest.EnterNamespace(t)
	return filepath.Join(t.TempDir(), "history.db")
}

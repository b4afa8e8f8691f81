package serve

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally-history/condition"
	"github.com/conntally/conntally/cmd/conntally-history/config"
	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	shared "github.com/conntally/conntally/cmd/internal/condition"
	"github.com/conntally/conntally/cmd/internal/setting"
	"github.com/conntally/conntally/conntrack"
)

// running is a Service of the test's process, in the network namespace of its thread.
type running struct {
	*Service
	t     *testing.T
	clock *clock
	stop  context.CancelFunc
	ended chan error
	close func() error // once
}

// clock is set by the test.
type clock struct {
	mu  sync.Mutex
	now conntrack.Timestamp
}

func (c *clock) read() conntrack.Timestamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Mono += int64(d)
	c.now.Wall += int64(d)
}

func run(t *testing.T, database string, change func(*config.Config)) *running {
	t.Helper()
	c := testConfig(time.Hour)
	if change != nil {
		change(c)
	}
	ctx, stop := context.WithCancel(context.Background())
	k := &clock{now: conntrack.Timestamp{Mono: 5, Wall: time.Now().UnixNano()}}
	s, err := New(ctx, Options{
		Config: c, Database: database, Log: zap.NewNop(), Clock: k.read,
		Calendar: usage.Calendar{Location: time.UTC},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.observeEvery = time.Hour // the test does it
	r := &running{s, t, k, stop, make(chan error, 1), sync.OnceValue(s.Close)}
	go func() { r.ended <- s.Run(ctx) }()
	t.Cleanup(func() { r.end(); _ = r.close() })
	return r
}

// end ends the service, once.
func (r *running) end() {
	r.stop()
	select {
	case err := <-r.ended:
		if err != nil {
			r.t.Error(err)
		}
		r.ended <- nil
	case <-time.After(patience):
		r.t.Error("it doesn't end")
	}
}

// until waits for something.
func (r *running) until(what string, is func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// holding returns the conditions that hold, but those of the machine that runs the tests.
func (r *running) holding() (ids []shared.ID) {
	for _, c := range r.conditions.Snapshot() {
		if c.ID != condition.BufferSmall && c.ID != condition.NamesUnreadable {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func (r *running) expect(want ...shared.ID) {
	r.t.Helper()
	if got := r.holding(); !slices.Equal(got, want) {
		r.t.Errorf("conditions %q, want %q", got, want)
	}
}

// What is received is written when asked for, but not again at once; and at the end.
func TestReceivesAndWrites(t *testing.T) {
	database := enter(t)
	r := run(t, database, nil)
	e := newExporter(t)
	e.send(5)
	r.until("records", func() bool { return r.snapshot().Datagrams == 1 })
	for _, c := range []struct {
		after   time.Duration
		flushes uint64
	}{{0, 0}, {freshFor, 1}, {freshFor - 1, 1}, {1, 2}} {
		r.clock.pass(c.after)
		if err := r.flusher.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := r.snapshot().Flushes; n != c.flushes {
			t.Errorf("%d flushes, want %d", n, c.flushes)
		}
	}
	if got := read(t, database); got.Records != 5 {
		t.Errorf("%d records", got.Records)
	}
	e.send(6)
	r.end()
	if got := read(t, database); got.Records != 11 || got.bytes != 11 || got.by != 11 {
		t.Errorf("at the end: %+v", got)
	}
}

// Only those who may send are heard.
func TestStrangersAreRefused(t *testing.T) {
	database := enter(t)
	r := run(t, database, func(c *config.Config) {
		c.Collector.Exporters = []setting.Network{
			{Prefix: netip.MustParsePrefix("192.0.2.0/24")}}
	})
	newExporter(t).send(5)
	r.until("a refusal", func() bool { return r.snapshot().Refused == 1 })
	o := r.observer()
	o.observe(r.clock.read())
	r.expect(condition.SenderRefused)
	r.end()
	if got := read(t, database); got.Records != 0 {
		t.Errorf("%d records", got.Records)
	}
}

// Each thing that may be wrong with what is received is said, and ends.
func TestConditionsOfExporters(t *testing.T) {
	r := run(t, enter(t), func(c *config.Config) { c.Devices.Max = 1 })
	e := newExporter(t)
	o := r.observer()
	settle := func(datagrams uint64) {
		t.Helper()
		r.until("a datagram", func() bool { return r.snapshot().Datagrams >= datagrams })
		o.observe(r.clock.read())
	}
	settle(0)
	r.expect()
	r.clock.pass(quietStart + 1)
	settle(0)
	r.expect(condition.NothingReceived)
	e.send(1)
	settle(1)
	r.expect()
	e.sequence += 7 // lost
	e.send(5)       // of five devices
	if _, err := e.conn.Write([]byte("nonsense")); err != nil {
		t.Fatal(err)
	}
	settle(3)
	r.expect(condition.RecordsMissing, condition.DatagramsMalformed, condition.DevicesFull)
	r.clock.pass(shared.EventLasts)
	settle(3)
	r.expect()
	r.clock.pass(silentAfter)
	settle(3)
	r.expect(condition.ExporterSilent)
	e.send(1) // of yet another device
	settle(4)
	r.expect(condition.DevicesFull)
}

// An exporter that sent something in the last day, and nothing since the start, is silent, too:
// after the usual time, and not for ever.
func TestExporterOfAnEarlierRunIsSilent(t *testing.T) {
	database := enter(t)
	alive, dead := newExporter(t), newExporterAt(t, "127.0.0.2")
	alive.sequence, dead.sequence = 100, 100
	var r *running
	var o *observer
	send := func(e *exporter, records int) {
		t.Helper()
		before := r.snapshot().Datagrams
		e.messages = 0 // with the template
		e.send(records)
		r.until("a datagram", func() bool { return r.snapshot().Datagrams > before })
	}
	restart := func() {
		t.Helper()
		if r != nil {
			r.end()
			if err := r.close(); err != nil {
				t.Fatal(err)
			}
		}
		r = run(t, database, nil)
		o = r.observer()
		send(alive, 1)
	}
	after := func(d time.Duration, want ...shared.ID) {
		t.Helper()
		r.clock.pass(d)
		send(alive, 1)
		o.observe(r.clock.read())
		r.expect(want...)
	}
	restart()
	send(dead, 1)
	restart()
	after(silentAfter)
	after(1, condition.ExporterSilent)
	after(goneAfter)
	restart()
	after(silentAfter+1, condition.ExporterSilent)
	send(dead, 0) // it has nothing to report
	after(0)
	after(silentAfter+1, condition.ExporterSilent)
	send(dead, 1)
	after(0)
	after(silentAfter+1, condition.ExporterSilent)
}

// A datagram without records, with which `conntally check` probes a collector, comes from no
// exporter that would be silent later.
func TestProbeIsNoExporter(t *testing.T) {
	r := run(t, enter(t), func(*config.Config) {})
	newExporter(t).send(0)
	r.until("a datagram", func() bool { return r.snapshot().Datagrams == 1 })
	o := r.observer()
	r.clock.pass(silentAfter + 1)
	o.observe(r.clock.read())
	r.expect(condition.NothingReceived)
}

// failing is a database whose disk is full at times.
type failing struct {
	database
	mu   sync.Mutex
	full bool
}

func (f *failing) set(full bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full = full
}

func (f *failing) Write(ctx context.Context, b *usage.Batch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full {
		return errors.New("the disk is full")
	}
	return f.database.Write(ctx, b)
}

// While the disk is full, all is kept in memory; then it is written, once.
func TestFullDiskLosesNothing(t *testing.T) {
	database := enter(t)
	var disk failing
	c := testConfig(time.Hour)
	k := &clock{now: conntrack.Timestamp{Mono: 5, Wall: time.Now().UnixNano()}}
	s, err := New(t.Context(), Options{Config: c, Database: database, Log: zap.NewNop(),
		Clock: k.read, Calendar: usage.Calendar{Location: time.UTC}})
	if err != nil {
		t.Fatal(err)
	}
	disk.database = s.store
	s.flusher.database = &disk
	ctx, stop := context.WithCancel(context.Background())
	s.observeEvery = time.Hour // the test does it
	r := &running{s, t, k, stop, make(chan error, 1), s.Close}
	go func() { r.ended <- s.Run(ctx) }()
	t.Cleanup(func() { r.end(); _ = r.close() })
	e := newExporter(t)
	for i := range uint64(6) {
		disk.set(i%3 != 2)
		e.send(10)
		r.until("a datagram", func() bool { return r.snapshot().Datagrams == i+1 })
		k.pass(freshFor)
		err := r.flusher.Refresh(t.Context())
		if (err != nil) != (i%3 != 2) {
			t.Errorf("flush %d: %v", i, err)
		}
		if i%3 != 2 {
			r.expect(condition.WriteFailed)
		} else {
			r.expect()
		}
	}
	if n := r.snapshot().FlushFailures; n != 4 {
		t.Errorf("%d failures", n)
	}
	r.end()
	got := read(t, database)
	if got.Records != 60 || got.bytes != 60 || got.by != 60 || got.MissingRecords != 0 {
		t.Errorf("got %+v", got)
	}
}

// A damaged database is set aside, which is said, and devices are known again after a restart.
func TestDamagedDatabaseIsSetAside(t *testing.T) {
	database := enter(t)
	if err := os.WriteFile(database, make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, database, nil)
	r.expect(condition.DatabaseSetAside)
	newExporter(t).send(3)
	r.until("a datagram", func() bool { return r.snapshot().Datagrams == 1 })
	r.end()
	files, err := filepath.Glob(database + ".damaged-*")
	if err != nil || len(files) == 0 {
		t.Errorf("%q, %v", files, err)
	}
	got := read(t, database)
	devices := slices.Sorted(maps.Keys(got.devices))
	if len(devices) != 3 {
		t.Errorf("devices %q", devices)
	}
}

// Two services don't receive at one address, nor write one database. The second one changes
// nothing of the first one's.
func TestAddressInUse(t *testing.T) {
	database := enter(t)
	r := run(t, database, nil)
	for _, x := range []struct {
		name, address, database string
		want                    error
	}{
		{"the same address", address, filepath.Join(t.TempDir(), "other.db"), syscall.EADDRINUSE},
		{"the same database", "127.0.0.1:0", database, store.ErrInUse},
		{"both", address, database, store.ErrInUse},
	} {
		c := testConfig(time.Hour)
		c.Collector.Address = setting.Listen(x.address)
		_, err := New(t.Context(), Options{Config: c, Database: x.database, Log: zap.NewNop(),
			Clock: r.clock.read, Calendar: usage.Calendar{Location: time.UTC}})
		if !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", x.name, err, x.want)
		}
	}
	r.clock.pass(time.Hour)
	now := r.now()
	l, err := r.store.Reader().Losses(t.Context(), now.Add(-2*time.Hour), now)
	if err != nil || l.Absent != nil {
		t.Error("it is said not to run:", l.Absent, err)
	}
}

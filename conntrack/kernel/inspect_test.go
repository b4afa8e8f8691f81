package kernel_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/conntrack/kernel"
)

// TestRealSettings runs where no setting is on, and changes none.
func TestRealSettings(t *testing.T) {
	labtest.EnterNamespace(t)
	for value, text := range []string{"0", "1"} {
		for _, name := range []string{"acct", "timestamp", "events"} {
			write(t, name, text)
		}
		for _, s := range kernel.Settings(true) {
			if s.Err != nil || s.Was != value || s.Changed() != (value == 0) {
				t.Errorf("%+v, want %d", s, value)
			}
		}
	}
}

// TestRealAvailable asks with CAP_NET_ADMIN and, on a thread that ends, without.
func TestRealAvailable(t *testing.T) {
	labtest.EnterNamespace(t)
	must(t, kernel.Available())
	const want = 16 << 20
	if got, err := ctnetlink.ReceiveBuffer(want); err != nil || got != want {
		t.Errorf("receive buffer %d: %v", got, err)
	}
	dropNetAdmin(t)
	if err := kernel.Available(); !os.IsPermission(err) {
		t.Errorf("without CAP_NET_ADMIN: %v", err)
	}
	if got, err := ctnetlink.ReceiveBuffer(1 << 30); err != nil || got >= 1<<30 {
		t.Errorf("receive buffer without CAP_NET_ADMIN %d: %v", got, err)
	}
}

// dropNetAdmin takes the capability from the calling thread, which is locked.
func dropNetAdmin(t *testing.T) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	must(t, unix.Capget(&header, &data[0]))
	data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	must(t, unix.Capset(&header, &data[0]))
}

// TestSubscribersAreThisProcess proves that only the event sockets of this process are listed.
func TestSubscribersAreThisProcess(t *testing.T) {
	labtest.EnterNamespace(t)
	if got := subscribers(t); len(got) != 0 {
		t.Fatalf("where nobody subscribes: %+v", got)
	}
	open := func(reliable bool) *ctnetlink.Reader {
		r, err := ctnetlink.Open(ctnetlink.Options{ReceiveBuffer: 1 << 16, Reliable: reliable},
			conntrack.SystemClock())
		must(t, err)
		return r
	}
	plain, reliable := open(false), open(true)
	got := subscribers(t)
	if len(got) != 2 || got[0].Reliable == got[1].Reliable || got[0].Inode == got[1].Inode {
		t.Errorf("a plain and a reliable one: %+v", got)
	}
	program := filepath.Base(os.Args[0])
	for _, l := range got {
		if l.PID != os.Getpid() || l.Program != program[:min(len(program), 15)] {
			t.Errorf("%+v, want %s (%d)", l, program, os.Getpid())
		}
	}
	must(t, reliable.Close())
	if got := subscribers(t); len(got) != 1 || got[0].Reliable {
		t.Errorf("after the reliable one's end: %+v", got)
	}
	must(t, plain.Close())
}

func subscribers(t *testing.T) []kernel.Subscriber {
	t.Helper()
	got, err := kernel.Subscribers()
	must(t, err)
	return got
}

// TestRealCountEntries counts entries that are older than their counters.
func TestRealCountEntries(t *testing.T) {
	labtest.Need(t)
	l, err := lab.New(lab.Options{
		Sysctls: map[string]string{"net/netfilter/nf_conntrack_acct": "0"},
	})
	must(t, err)
	defer l.Close()
	must(t, l.Router.Fill(0, 100))
	must(t, l.Router.Sysctl("net/netfilter/nf_conntrack_acct", "1"))
	must(t, l.Router.Fill(100, 200))
	must(t, l.Router.Do(func() error {
		c, err := kernel.CountEntries(ctnetlink.DumpOnce)
		if c.Entries != 300 || c.Uncounted != 100 || c.Offloaded != 0 {
			t.Errorf("%d entries, %d uncounted, %d offloaded", c.Entries, c.Uncounted, c.Offloaded)
		}
		tables, err2 := kernel.Flowtables()
		if err2 != nil || len(tables) != 0 {
			t.Errorf("flowtables %v: %v", tables, err2)
		}
		return err
	}))
}

func TestEntryStatsOfOffloaded(t *testing.T) {
	for name, c := range map[string]struct {
		offloaded, moving, ended int
		moved, met               int
	}{
		"none":               {},
		"all stand still":    {offloaded: 5, met: 5},
		"one moves":          {offloaded: 5, moving: 1, moved: 1, met: 5},
		"some end":           {offloaded: 5, ended: 3, met: 2},
		"only few are taken": {offloaded: 1500, moving: 1500, moved: 1000, met: 1000},
	} {
		k := conntracktest.New()
		plain := k.Create(client(0, 0))
		k.Create(client(1, 0))
		k.Create(client(2, 0))
		var keys []conntrack.Key
		for i := range c.offloaded {
			keys = append(keys, k.Create(client(100+i, conntrack.Offload)))
		}
		before := countEntries(t, k)
		for _, key := range keys[:c.moving] {
			k.Count(key, conntrack.Reply, 1, 100)
		}
		for _, key := range keys[:c.ended] {
			k.Destroy(key)
		}
		k.Count(plain, conntrack.Original, 1, 100) // not offloaded
		after := countEntries(t, k)
		moved, met := after.Moved(&before)
		if before.Entries != 3+c.offloaded || before.Offloaded != c.offloaded || moved != c.moved ||
			met != c.met {
			t.Errorf("%s: of %d entries %d offloaded; %d of %d moved",
				name, before.Entries, before.Offloaded, moved, met)
		}
	}
}

// client returns the entry of the i-th of 65536 connections.
func client(i int, status conntrack.Status) conntrack.Event {
	return conntrack.Event{Status: status, Orig: conntrack.Tuple{
		Src:     conntrack.AddrFrom(netip.MustParseAddr("192.0.2.1")),
		Dst:     conntrack.AddrFrom(netip.MustParseAddr("192.0.2.2")),
		SrcPort: uint16(i), DstPort: 53, Family: unix.AF_INET, Proto: conntrack.ProtoUDP,
	}}
}

func countEntries(t *testing.T, k *conntracktest.Kernel) kernel.EntryStats {
	t.Helper()
	c, err := kernel.CountEntries(k.Reader().Dump)
	must(t, err)
	return c
}

func TestEntryStatsOfFailedDump(t *testing.T) {
	k := conntracktest.New()
	k.FailDump(unix.EPERM)
	if _, err := kernel.CountEntries(k.Reader().Dump); !errors.Is(err, unix.EPERM) {
		t.Errorf("error %v", err)
	}
}

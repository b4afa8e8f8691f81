package route

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// smallKernel has a LAN and two uplinks, of which all traffic takes the first.
func smallKernel() *kernel {
	k := newKernel()
	k.has(unix.RTM_GETLINK, linkMessage(unix.RTM_NEWLINK, 1, "lo"))
	k.has(unix.RTM_GETLINK, linkMessage(unix.RTM_NEWLINK, 3, "lan0"))
	k.has(unix.RTM_GETLINK, linkMessage(unix.RTM_NEWLINK, 4, "wan1"))
	k.has(unix.RTM_GETLINK, linkMessage(unix.RTM_NEWLINK, 5, "wan2"))
	k.has(unix.RTM_GETADDR, addressMessage(unix.RTM_NEWADDR, 4, "198.51.100.1"))
	k.has(unix.RTM_GETADDR, addressMessage(unix.RTM_NEWADDR, 5, "203.0.113.1"))
	k.has(unix.RTM_GETROUTE, routeMessage(unix.RTM_NEWROUTE, "192.168.77.0", 24, 3))
	k.has(unix.RTM_GETROUTE, routeMessage(unix.RTM_NEWROUTE, "0.0.0.0", 0, 4))
	k.has(unix.RTM_GETROUTE, routeMessage(unix.RTM_NEWROUTE, "0.0.0.0", 0, 5))
	k.routes("192.168.77.", 3, 4)
	return k
}

// routes sends addresses with a textual prefix by one interface and all others by another.
func (k *kernel) routes(within string, inside, outside uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.route = func(to, _ conntrack.Addr, _, _ uint32) (unix.Errno, uint8, uint32) {
		if s := to.Netip().String(); len(s) > len(within) && s[:len(within)] == within {
			return 0, unix.RTN_UNICAST, inside
		}
		return 0, unix.RTN_UNICAST, outside
	}
}

func await(t *testing.T, otherwise string, holds func() bool) {
	t.Helper()
	(&router{t: t}).await(otherwise, holds)
}

// newer waits for a later view than this.
func newer(t *testing.T, l *Resolver, version uint32) uint32 {
	t.Helper()
	now := version
	await(t, fmt.Sprintf("no version behind %d", version),
		func() bool { now = l.Version(); return now != version })
	return now
}

func outputs(t *testing.T, l *Resolver, to string, want uint32) {
	t.Helper()
	if p := l.Path(connection{from: client, to: to}.event()); p[0].Index() != 3 ||
		p[1].Index() != want {
		t.Errorf("%s is reached from %d by %d, want from 3 by %d", to, p[0].Index(), p[1].Index(),
			want)
	}
}

// TestViewFollowsNotifications: whatever is notified or lost, the view agrees with the kernel.
func TestViewFollowsNotifications(t *testing.T) {
	k := smallKernel()
	l := k.open(t, Options{})
	outputs(t, l, server, 4)
	version := l.Version()

	k.routes("192.168.77.", 3, 5)
	outputs(t, l, server, 4) // nobody said so
	k.events <- routeMessage(unix.RTM_NEWROUTE, "192.0.2.0", 24, 5)
	version = newer(t, l, version)
	outputs(t, l, server, 5)

	k.routes("192.168.77.", 3, 4)
	k.events <- encode(unix.RTM_NEWNEXTHOP, 0, 0, make([]byte, 8))
	newer(t, l, version)
	outputs(t, l, server, 4)

	// Lost: what changed meanwhile is found nevertheless.
	k.has(unix.RTM_GETLINK, linkMessage(unix.RTM_NEWLINK, 9, "wg0"))
	k.routes("192.168.77.", 3, 9)
	k.events <- unix.ENOBUFS
	await(t, "wg0 never came", func() bool { _, ok := l.Index("wg0"); return ok })
	outputs(t, l, server, 9)
	if n := l.Stats.Overruns.Load(); n != 1 {
		t.Errorf("%d overruns", n)
	}

	// One too long for the buffer is lost too.
	version = l.Version()
	k.events <- ctnetlink.ErrMalformed
	newer(t, l, version)

	// A malformed datagram is counted, and the next one is applied.
	k.events <- []byte{1, 2, 3}
	k.events <- encode(unix.RTM_NEWLINK, 0, 0, []byte{0})
	k.events <- encode(unix.RTM_NEWROUTE, 0, 0, append([]byte{0: unix.AF_INET, 11: 0}, 9, 0, 1, 0))
	await(t, "not all three are counted", func() bool { return l.Stats.Malformed.Load() == 3 })
	// not before: each is a reason to read
	k.has(unix.RTM_GETLINK, linkMessage(unix.RTM_NEWLINK, 10, "wg1"))
	k.events <- linkMessage(unix.RTM_NEWLINK, 10, "wg1")
	await(t, "wg1 never came", func() bool { _, ok := l.Index("wg1"); return ok })
	if n := l.Stats.Malformed.Load(); n != 3 {
		t.Errorf("%d malformed", n)
	}

	// A bridge's port that leaves it is no interface that goes.
	version = l.Version()
	port := linkMessage(unix.RTM_DELLINK, 10, "wg1")
	port[headerLen] = unix.AF_BRIDGE
	k.events <- port
	k.events <- linkMessage(unix.RTM_NEWLINK, 11, "wg2")
	newer(t, l, version)
	if l.Name(10) != "wg1" {
		t.Error("wg1 went with its port")
	}
}

// TestNoChangeKeepsCache: a message that changes nothing keeps the cache.
func TestNoChangeKeepsCache(t *testing.T) {
	k := smallKernel()
	l := k.open(t, Options{})
	version := l.Version()
	k.events <- linkMessage(unix.RTM_NEWLINK, 3, "lan0") // statistics
	k.events <- linkMessage(unix.RTM_NEWLINK, 3, "another",
		appendText(nil, unix.IFLA_WIRELESS, "event"))
	k.events <- addressMessage(unix.RTM_NEWADDR, 4, "198.51.100.1")    // a lifetime renewed
	k.events <- encode(unix.RTM_NEWNEIGH, 0, 0, make([]byte, 12))      // nothing of ours
	k.events <- encode(unix.RTM_NEWROUTE, 0, 0, []byte{0: 128, 11: 0}) // of multicast
	k.events <- linkMessage(unix.RTM_NEWLINK, 12, "marker")
	await(t, "the marker never came", func() bool { _, ok := l.Index("marker"); return ok })
	if now := l.Version(); now != version+1 {
		t.Errorf("version %d after one change, before %d", now, version)
	}
}

// TestFailedReadingIsRepeated: it is tried again, and meanwhile the old state is used.
func TestFailedReadingIsRepeated(t *testing.T) {
	k := smallKernel()
	l := k.open(t, Options{})
	k.mu.Lock()
	k.fails[unix.RTM_GETRULE] = []error{unix.EBUSY}
	k.mu.Unlock()
	k.has(unix.RTM_GETLINK, linkMessage(unix.RTM_NEWLINK, 9, "wg0"))
	k.events <- unix.ENOBUFS
	await(t, "no failure", func() bool { return l.Stats.Failures.Load() == 1 })
	if l.Name(3) != "lan0" {
		t.Error("what was known is forgotten")
	}
	await(t, "wg0 never came", func() bool { _, ok := l.Index("wg0"); return ok })
}

// TestInterruptedDumpIsRepeated is read again at once, but not for ever.
func TestInterruptedDumpIsRepeated(t *testing.T) {
	k := smallKernel()
	k.fails[unix.RTM_GETLINK] = []error{errInterrupted, errInterrupted}
	if l := k.open(t, Options{}); l.Name(3) != "lan0" {
		t.Error("lan0 is missing")
	}
	k = smallKernel()
	k.fails[unix.RTM_GETLINK] = make([]error, attempts)
	for i := range k.fails[unix.RTM_GETLINK] {
		k.fails[unix.RTM_GETLINK][i] = errInterrupted
	}
	_, err := open(Options{Clock: conntrack.SystemClock()}, k.dial)
	if !errors.Is(err, errInterrupted) {
		t.Errorf("after %d interrupted dumps: %v", attempts, err)
	}
}

// TestKernelWithoutRulesIsAccepted: a kernel without CONFIG_IP_MULTIPLE_TABLES refuses to be
// asked for rules. Only those may be missing.
func TestKernelWithoutRulesIsAccepted(t *testing.T) {
	k := smallKernel()
	k.fails[unix.RTM_GETRULE] = []error{unix.EOPNOTSUPP, unix.EOPNOTSUPP}
	outputs(t, k.open(t, Options{}), server, 4)

	k = smallKernel()
	k.fails[unix.RTM_GETROUTE] = []error{unix.EOPNOTSUPP, unix.EOPNOTSUPP}
	_, err := open(Options{Clock: conntrack.SystemClock()}, k.dial)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("without routes: %v", err)
	}
}

// TestBrokenEventSocketIsReopened: a broken socket of notifications is opened again, and all
// is read again: nothing that changed meanwhile is missed.
func TestBrokenEventSocketIsReopened(t *testing.T) {
	k := smallKernel()
	l := k.open(t, Options{})
	k.events <- unix.EIO
	await(t, "no failure", func() bool { return l.Stats.Failures.Load() == 1 })
	k.has(unix.RTM_GETLINK, linkMessage(unix.RTM_NEWLINK, 9, "wg0"))
	await(t, "wg0 never came", func() bool { _, ok := l.Index("wg0"); return ok })
	if n := l.Stats.Reopened.Load(); n != 1 || k.dials != 4 {
		t.Errorf("opened again %d times, %d sockets in all", n, k.dials)
	}
	k.events <- linkMessage(unix.RTM_NEWLINK, 10, "wg1")
	await(t, "the new socket brings nothing", func() bool { _, ok := l.Index("wg1"); return ok })
}

// TestBrokenRequestSocketsAreReopened: one of dumps is opened again at the next one, one of
// look-ups at once; what couldn't be asked is not remembered.
func TestBrokenRequestSocketsAreReopened(t *testing.T) {
	k := smallKernel()
	l := k.open(t, Options{})
	l.fib.socket.(*requestSocket).broken = unix.EBADF
	outputs(t, l, server, 4)
	l.fib.socket.(*requestSocket).broken = unix.EBADF
	dial := l.fib.dial
	l.fib.dial = func(uint32) (ctnetlink.Socket, error) { return nil, unix.EMFILE }
	other := connection{from: client, to: "2001:db8::1"}.event()
	if p := l.Path(other); p[1] != 0 {
		t.Errorf("by %d without a socket", p[1].Index())
	}
	l.fib.dial = dial
	if p := l.Path(other); p[1].Index() != 4 {
		t.Errorf("by %d with a socket again", p[1].Index())
	}
	w := &watcher{dumps: requests{socket: &requestSocket{kernel: k, broken: unix.EBADF}},
		dial: k.dial, stats: new(Stats), clock: conntrack.SystemClock(), lost: true}
	if err := w.read(); !errors.Is(err, unix.EBADF) {
		t.Fatalf("a dump by a broken socket: %v", err)
	}
	if err := w.read(); err != nil || len(w.state.devices) != 4 {
		t.Errorf("by a new one: %v, %d interfaces", err, len(w.state.devices))
	}
}

// TestReadingIsPaced: frequent changes don't cause more readings than allowed.
func TestReadingIsPaced(t *testing.T) {
	now := conntrack.Timestamp{Mono: int64(time.Hour)}
	k := smallKernel()
	w := watcher{
		state: newState(), dumps: requests{socket: &requestSocket{kernel: k}}, stats: new(Stats),
		outdated: true,
		// a reading takes 1 ms
		clock: func() conntrack.Timestamp { now.Mono += int64(time.Millisecond); return now },
	}
	if !w.reread() || w.outdated {
		t.Fatal("the first time nothing was read")
	}
	w.outdated = true
	if w.reread() {
		t.Error("read again at once")
	}
	if d := w.wait(); d < 40*time.Millisecond || d > 50*time.Millisecond {
		t.Errorf("waits for %v", d)
	}
	now.Mono += int64(readShare * time.Millisecond)
	if !w.reread() {
		t.Error("never read again")
	}
	if w.wait() != forever {
		t.Error("waits for nothing")
	}
}

// TestVLANHasIDAndParent uses a kind of device that this machine's kernel may lack.
func TestVLANHasIDAndParent(t *testing.T) {
	k := smallKernel()
	id := nested(unix.IFLA_INFO_DATA,
		appendBytes(nil, unix.IFLA_VLAN_ID, binary.NativeEndian.AppendUint16(nil, 77)))
	info := nested(unix.IFLA_LINKINFO, appendText(nil, unix.IFLA_INFO_KIND, "vlan"), id)
	k.has(unix.RTM_GETLINK,
		linkMessage(unix.RTM_NEWLINK, 20, "lan0.77", appendU32(nil, unix.IFLA_LINK, 3), info))
	k.has(unix.RTM_GETLINK,
		linkMessage(unix.RTM_NEWLINK, 21, "veth1", appendU32(nil, unix.IFLA_LINK, 3),
			appendU32(nil, unix.IFLA_LINK_NETNSID, 0)))
	// Its description has no room for the address.
	k.has(unix.RTM_GETADDR, addressMessage(unix.RTM_NEWADDR, 20, "10.0.77.1"))
	k.routes("192.168.77.", 20, 4)
	l := k.open(t, Options{})
	p := l.Path(connection{from: client, to: server}.event())
	if in := l.Name(p[0].Index()); in != "lan0.77" {
		t.Errorf("comes in by %q", in)
	}
	all, _ := l.Interfaces()
	if got := all[len(all)-2].Description; got != "lan0.77 vlan 77 on lan0" {
		t.Errorf("described as %q", got)
	}
	if got := all[len(all)-1].Description; got != "veth1 ethernet" {
		t.Errorf("one whose peer is elsewhere is described as %q", got)
	}
	for index, want := range map[uint32]uint16{0: 0, 3: 0, 20: 77, 21: 0, 99: 0} {
		if got := l.VLAN(index); got != want {
			t.Errorf("VLAN of %d is %d, want %d", index, got, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { l.VLAN(20) }); n != 0 {
		t.Errorf("%v allocations to look a VLAN up", n)
	}
}

// TestDeletedObjectsHaveNoEffect: what is deleted has no effect any more.
func TestDeletedObjectsHaveNoEffect(t *testing.T) {
	k := smallKernel()
	l := k.open(t, Options{})
	translated := connection{from: client, to: server, as: "203.0.113.1"}.event()
	if p := l.Path(translated); p[1].Index() != 5 {
		t.Errorf("translated to an address of 5, leaves by %d", p[1].Index())
	}
	version := l.Version()
	k.events <- addressMessage(unix.RTM_DELADDR, 5, "203.0.113.1")
	newer(t, l, version)
	if p := l.Path(translated); p[1].Index() != 4 {
		t.Errorf("translated to an address of nobody, leaves by %d", p[1].Index())
	}
	k.events <- linkMessage(unix.RTM_DELLINK, 4, "wan1")
	await(t, "wan1 stays", func() bool { return l.Name(4) == "" })
}

// TestDeletedRuleSplitsNoAnswers: a property that no rule chooses by any more doesn't split
// answers any more.
func TestDeletedRuleSplitsNoAnswers(t *testing.T) {
	k := smallKernel()
	n := addr("192.168.0.0")
	body := appendBytes([]byte{0: unix.AF_INET, 2: 16, 11: 0}, unix.FRA_SRC, n[12:])
	k.has(unix.RTM_GETRULE, encode(unix.RTM_NEWRULE, 0, 0, body))
	l := k.open(t, Options{})
	if !l.view.Load().bySender {
		t.Fatal("the rule makes no difference")
	}
	k.mu.Lock()
	k.objects[unix.RTM_GETRULE] = nil
	k.mu.Unlock()
	k.events <- encode(unix.RTM_DELRULE, 0, 0, body)
	await(t, "the rule still makes a difference", func() bool { return !l.view.Load().bySender })
}

// TestAnyGoroutineMayUseResolver is for the race detector: everything is used while everything
// changes.
func TestAnyGoroutineMayUseResolver(t *testing.T) {
	k := smallKernel()
	l := k.open(t, Options{Renamed: func() {}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range uint32(300) {
			k.events <- linkMessage(unix.RTM_NEWLINK, 100+i%5, fmt.Sprint("ppp", i))
			k.events <- routeMessage(unix.RTM_NEWROUTE, "192.0.2.0", uint8(i%33), 5)
			_, _ = l.Interfaces()
			l.Index("ppp7")
			l.Name(100)
		}
	}()
	events := internet(50)
	for {
		for _, e := range events {
			l.Path(e)
			l.Version()
		}
		select {
		case <-done:
			await(t, "the last name never came", func() bool { return l.Name(104) == "ppp299" })
			return
		default:
		}
	}
}

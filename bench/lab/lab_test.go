package lab

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"
)

const testTime = 30 * time.Second

var (
	tcp4  = Class{unix.AF_INET, unix.IPPROTO_TCP}
	tcp6  = Class{unix.AF_INET6, unix.IPPROTO_TCP}
	udp4  = Class{unix.AF_INET, unix.IPPROTO_UDP}
	udp6  = Class{unix.AF_INET6, unix.IPPROTO_UDP}
	icmp4 = Class{unix.AF_INET, unix.IPPROTO_ICMP}
	icmp6 = Class{unix.AF_INET6, unix.IPPROTO_ICMPV6}
)

func newLab(t *testing.T) *Lab {
	t.Helper()
	return newLabWith(t, Options{})
}

func newLabWith(t *testing.T, o Options) *Lab {
	t.Helper()
	if err := Available(); err != nil {
		t.Skip(err)
	}
	o.Sysctls = map[string]string{
		"net/netfilter/nf_conntrack_acct": "1",
		// No entry expires during a test.
		"net/netfilter/nf_conntrack_icmp_timeout":      "600",
		"net/netfilter/nf_conntrack_icmpv6_timeout":    "600",
		"net/netfilter/nf_conntrack_udp_timeout":       "600",
		"net/netfilter/nf_conntrack_tcp_timeout_close": "600",
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	t.Cleanup(cancel)
	return ctx
}

func settle(t *testing.T, l *Lab) map[Class]Count {
	t.Helper()
	forwarded, err := l.Settle(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return forwarded
}

func await(t *testing.T, otherwise string, holds func() bool) {
	t.Helper()
	if err := eventually(otherwise, func() (bool, error) { return holds(), nil }); err != nil {
		t.Fatal(err)
	}
}

func tcp(t *testing.T, l *Lab, f TCPFlow) *Conn {
	t.Helper()
	c, err := l.TCP(testContext(t), f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func forward(t *testing.T, l *Lab, f TCPFlow) *Conn {
	t.Helper()
	c, err := l.Forward(testContext(t), f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mix sends some of everything, all at once.
func mix(t *testing.T, l *Lab) {
	ctx := testContext(t)
	var flows sync.WaitGroup
	check := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for _, family := range families() {
		for _, size := range [...]int{0, 1, 1400, 4000, 60000} {
			flows.Go(func() {
				check(l.UDP(ctx, UDPFlow{Family: family, Packets: 9, Size: size, Answered: true}))
			})
			flows.Go(func() { check(l.UDP(ctx, UDPFlow{Family: family, Packets: 77, Size: size})) })
			flows.Go(func() {
				check(l.Echo(ctx, EchoFlow{Family: family, Packets: 5, Size: size}))
			})
		}
		for _, end := range [...]End{FIN, RST, Open} {
			for _, size := range [...]int{0, 1, 5000, 3 << 20} {
				f := TCPFlow{Family: family, Up: size / 2, Down: size, End: end}
				flows.Go(func() { _, err := l.TCP(ctx, f); check(err) })
				flows.Go(func() { _, err := l.Forward(ctx, f); check(err) })
			}
		}
	}
	flows.Wait()
}

func TestCountsAgree(t *testing.T) {
	l := newLab(t)
	mix(t, l)
	forwarded := settle(t, l)
	checkLedger(t, l, forwarded)
	checkSides(t, l, forwarded)
	checkStray(t, l)
	if got := conntrackSums(t, l); !maps.Equal(got, forwarded) {
		t.Errorf("conntrack counted %v, forwarded %v", got, forwarded)
	}
}

func TestTwoLabsAtOnce(t *testing.T) {
	labs := [...]*Lab{newLab(t), newLab(t)}
	var mixes sync.WaitGroup
	for _, l := range labs {
		mixes.Go(func() { mix(t, l) })
	}
	mixes.Wait()
	for _, l := range labs {
		checkLedger(t, l, settle(t, l))
		checkStray(t, l)
	}
}

func TestManyFlowsAtOnce(t *testing.T) {
	l := newLab(t)
	ctx := testContext(t)
	var flows sync.WaitGroup
	for range 300 {
		flows.Go(func() {
			_, err := l.TCP(ctx, TCPFlow{Family: unix.AF_INET, Up: 100, Down: 5000})
			err = errors.Join(err,
				l.UDP(ctx, UDPFlow{Family: unix.AF_INET6, Packets: 50, Size: 1000}),
				l.UDP(ctx, UDPFlow{Family: unix.AF_INET, Packets: 5, Size: 20000, Answered: true}),
				l.Echo(ctx, EchoFlow{Family: unix.AF_INET6, Packets: 5, Size: 1000}))
			if err != nil {
				t.Error(err)
			}
		})
	}
	flows.Wait()
	settle(t, l)
	checkStray(t, l)
	if n := len(entries(t, l)); n != 4*300 {
		t.Errorf("%d conntrack entries, want one per flow", n)
	}
}

func checkLedger(t *testing.T, l *Lab, forwarded map[Class]Count) {
	t.Helper()
	sent, err := l.Sent()
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(sent, forwarded) {
		t.Errorf("sent %v, forwarded %v", sent, forwarded)
	}
	generated := l.Generated()
	for _, class := range [...]Class{udp4, udp6, icmp4, icmp6} {
		if generated[class] != sent[class] || sent[class].Packets == 0 {
			t.Errorf("%v: generated %v, sent %v", class, generated[class], sent[class])
		}
	}
	for _, class := range [...]Class{tcp4, tcp6} {
		if generated[class].Bytes >= sent[class].Bytes || generated[class].Bytes == 0 {
			t.Errorf("%v: generated %v, sent %v", class, generated[class], sent[class])
		}
	}
}

func checkSides(t *testing.T, l *Lab, forwarded map[Class]Count) {
	t.Helper()
	sum := map[Class]Count{}
	for _, side := range sides() {
		part, err := l.ForwardedFrom(side)
		if err != nil {
			t.Fatal(err)
		}
		for class, count := range part {
			if count.Packets == 0 {
				t.Errorf("nothing of %v from %s", class, side)
			}
			sum[class] = sum[class].plus(count)
		}
	}
	if !maps.Equal(sum, forwarded) {
		t.Errorf("the sides' sum is %v, forwarded %v", sum, forwarded)
	}
}

func checkStray(t *testing.T, l *Lab) {
	t.Helper()
	stray, err := l.Stray()
	if err != nil {
		t.Fatal(err)
	}
	if stray != (Count{}) {
		t.Errorf("stray packets: %v", stray)
	}
}

func entries(t *testing.T, l *Lab) []conntrack.Flow {
	t.Helper()
	conn, err := conntrack.Dial(&netlink.Config{NetNS: l.Router.FD()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	flows, err := conn.Dump(nil)
	if err != nil {
		t.Fatal(err)
	}
	return flows
}

func conntrackSums(t *testing.T, l *Lab) map[Class]Count {
	sums := map[Class]Count{}
	for _, f := range entries(t, l) {
		class := Class{familyOf(f.TupleOrig.IP.SourceAddress), f.TupleOrig.Proto.Protocol}
		for _, c := range [...]conntrack.Counter{f.CountersOrig, f.CountersReply} {
			sums[class] = sums[class].plus(Count{c.Packets, c.Bytes})
		}
	}
	return sums
}

// States of TCP connections in the kernel's enum tcp_conntrack.
const (
	stateEstablished = 3
	stateTimeWait    = 7
	stateClose       = 8
)

func state(t *testing.T, l *Lab, c *Conn) uint8 {
	t.Helper()
	for _, f := range entries(t, l) {
		from := netip.AddrPortFrom(f.TupleOrig.IP.SourceAddress, f.TupleOrig.Proto.SourcePort)
		if from == c.Local() && f.ProtoInfo.TCP != nil {
			return f.ProtoInfo.TCP.State
		}
	}
	t.Fatalf("no entry from %s", c.Local())
	return 0
}

func TestEndsOfConnections(t *testing.T) {
	l := newLab(t)
	open := func(t *testing.T, l *Lab, f TCPFlow) *Conn { return tcp(t, l, f) }
	for _, family := range families() {
		type connector func(*testing.T, *Lab, TCPFlow) *Conn
		for name, connect := range map[string]connector{"out": open, "in": forward} {
			t.Run(Class{family, unix.IPPROTO_TCP}.String()+"-"+name, func(t *testing.T) {
				testEnds(t, l, func(f TCPFlow) *Conn { f.Family = family; return connect(t, l, f) })
			})
		}
	}
	settle(t, l)
	checkStray(t, l)
}

func testEnds(t *testing.T, l *Lab, connect func(TCPFlow) *Conn) {
	expect := func(c *Conn, want uint8) {
		t.Helper()
		if got := state(t, l, c); got != want {
			t.Errorf("conntrack state %d, want %d", got, want)
		}
	}
	for _, size := range [...]int{0, 100, 1 << 20} {
		expect(connect(TCPFlow{Up: size, End: FIN}), stateTimeWait)
		expect(connect(TCPFlow{Down: size, End: RST}), stateClose)
		expect(connect(TCPFlow{Up: size, End: RST}), stateClose)

		c := connect(TCPFlow{Up: size, Down: size, End: Open})
		expect(c, stateEstablished)
		if err := c.Send(testContext(t), size, size); err != nil {
			t.Error(err)
		}
		expect(c, stateEstablished)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		expect(c, stateTimeWait)

		c = connect(TCPFlow{End: Open})
		if err := c.Reset(); err != nil {
			t.Error(err)
		}
		expect(c, stateClose)
	}
}

func TestSourcePort(t *testing.T) {
	l := newLab(t)
	// The same port again at once, but for FIN, which leaves TIME_WAIT.
	for range 3 {
		c := tcp(t, l, TCPFlow{Family: unix.AF_INET, SourcePort: 50000, End: RST})
		if c.LocalPort != 50000 {
			t.Errorf("port %d", c.LocalPort)
		}
		err := l.UDP(testContext(t),
			UDPFlow{Family: unix.AF_INET6, Packets: 1, SourcePort: 50000, Answered: true})
		if err != nil {
			t.Error(err)
		}
	}
	if n := len(entries(t, l)); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
}

func TestPace(t *testing.T) {
	l := newLab(t)
	begin := time.Now()
	tcp(t, l, TCPFlow{Family: unix.AF_INET, Up: 10000, Down: 10000, Rate: 100000})
	if took := time.Since(begin); took < 200*time.Millisecond {
		t.Errorf("20000 B at 100 kB/s took %v", took)
	}
	begin = time.Now()
	err := l.UDP(testContext(t),
		UDPFlow{Family: unix.AF_INET, Packets: 5, Interval: 10 * time.Millisecond})
	if took := time.Since(begin); err != nil || took < 40*time.Millisecond {
		t.Errorf("5 datagrams every 10 ms took %v: %v", took, err)
	}
}

func TestContextEndsTraffic(t *testing.T) {
	l := newLab(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := l.TCP(ctx, TCPFlow{Family: unix.AF_INET, Down: 1 << 20, Rate: 1000})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("TCP: %v", err)
	}
	err = l.UDP(ctx, UDPFlow{Family: unix.AF_INET, Packets: 2, Interval: time.Hour})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("UDP: %v", err)
	}
}

// TestLostAnswerIsAskedForAgain: so that a lost datagram doesn't hold traffic up for ever.
func TestLostAnswerIsAskedForAgain(t *testing.T) {
	l := newLab(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := l.Router.IP("route add blackhole " + ServerIPv4); err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		sent <- l.UDP(ctx, UDPFlow{
			Family: unix.AF_INET, Packets: 1, Size: 10, Answered: true,
			answerTime: 100 * time.Millisecond,
		})
	}()
	select {
	case err := <-sent:
		t.Fatalf("answered though all is dropped: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	if err := l.Router.IP("route del blackhole " + ServerIPv4); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestUnknownFamily(t *testing.T) {
	l := &Lab{}
	ctx := t.Context()
	_, tcpErr := l.TCP(ctx, TCPFlow{})
	_, forwardErr := l.Forward(ctx, TCPFlow{})
	for _, err := range []error{
		tcpErr, forwardErr, l.UDP(ctx, UDPFlow{}), l.Echo(ctx, EchoFlow{ID: 1}),
	} {
		if err == nil {
			t.Error("family 0 was taken")
		}
	}
}

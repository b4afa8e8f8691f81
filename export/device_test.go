package export

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bound opens a collector of a configuration whose address is u's far end, and a listener for it.
func (u *uplinks) bound(
	f family, config CollectorConfig, clock *fakeClock,
) (c *Collector, far *listener, err error) {
	u.t.Helper()
	u.do(u.beyond, func() error {
		far = listen(u.t, netip.AddrPortFrom(netip.MustParseAddr(f.collector), 0).String())
		return nil
	})
	config.Address, config.Protocol = far.address().String(), IPFIX
	c = NewCollector(config, clock.now)
	u.do(u.router, func() error { err = c.Open(u.t.Context()); return nil })
	u.t.Cleanup(func() { c.Close(clock.now()) })
	return c, far, err
}

// reopen opens another socket, as a redial does.
func (u *uplinks) reopen(c *Collector) (err error) {
	u.t.Helper()
	u.do(u.router, func() error { err = c.Open(u.t.Context()); return nil })
	return err
}

// arrivesFrom wants templates to arrive from an address.
func (u *uplinks) arrivesFrom(c *Collector, far *listener, clock *fakeClock, want string) {
	u.t.Helper()
	if u.sendTemplates(c, clock) {
		u.t.Errorf("another socket is wanted")
	}
	b, from := far.receive(u.t)
	if from.Addr().String() != want || !hasTemplates(u.t, IPFIX, b) {
		u.t.Errorf("comes from %v, want %s", from, want)
	}
}

// TestInterfaceIsUsedWhateverRoutesSay: the default route leads by wan0, datagrams leave by wan1,
// whose own route has a worse metric. A failover of the default route doesn't matter to them.
func TestInterfaceIsUsedWhateverRoutesSay(t *testing.T) {
	for name, f := range map[string]family{"IPv4": family4, "IPv6": family6} {
		t.Run(name, func(t *testing.T) {
			u, clock := newUplinks(t), newFakeClock()
			u.ip(u.router, "route add default via "+f.via0+" metric 10\n"+
				"route add default via "+f.via1+" metric 20")
			c, far, err := u.bound(f, CollectorConfig{Interface: "wan1"}, clock)
			if err != nil {
				t.Fatal(err)
			}
			u.arrivesFrom(c, far, clock, f.own1)
			u.ip(u.router, "route delete default via "+f.via0+" metric 10")
			u.arrivesFrom(c, far, clock, f.own1)
			u.ip(u.router, "route add default via "+f.via0+" metric 10")
			u.arrivesFrom(c, far, clock, f.own1)

			pinned, far, err := u.bound(f, CollectorConfig{
				Interface: "wan1", Source: netip.MustParseAddr(f.own0),
			}, clock)
			if err != nil {
				t.Fatal(err)
			}
			u.arrivesFrom(pinned, far, clock, f.own0)
		})
	}
}

// TestInterfaceThatComesAndGoes: an interface that isn't there is a failure of the collector until
// it appears, and so is one that was deleted. One of the same name, with another ifIndex, is used,
// even if nothing was sent meanwhile.
func TestInterfaceThatComesAndGoes(t *testing.T) {
	u, clock, f := newUplinks(t), newFakeClock(), family4
	u.ip(u.router, "route add default via "+f.via0)
	add := func() {
		u.ip(u.router, "link add vpn type veth peer name far netns "+u.beyond.Path())
		u.ip(u.beyond, "address add 10.9.0.1/24 dev far\n link set far up")
		u.ip(u.router, "address add 10.9.0.2/24 dev vpn\n link set vpn up\n"+
			"route add default via 10.9.0.1 metric 50")
	}
	remove := func() { u.ip(u.router, "link delete vpn") }
	c, far, err := u.bound(f, CollectorConfig{Interface: "vpn"}, clock)
	arrives := func() {
		t.Helper()
		if err := u.reopen(c); err != nil {
			t.Fatal(err)
		}
		u.arrivesFrom(c, far, clock, "10.9.0.2")
	}
	wantMissing(t, err)
	wantMissing(t, c.Failure(clock.now()))
	r := sample(0, present)
	exportAllNow(&Exporter{Collectors: []*Collector{c}}, &r)
	if n := c.Stats.Dropped.Load(); n != 1 {
		t.Errorf("%d records dropped, want 1", n)
	}
	wantMissing(t, u.reopen(c))

	add()
	arrives()
	remove()
	u.do(u.router, func() error {
		clock.advance(time.Second)
		exportAllNow(&Exporter{Collectors: []*Collector{c}}, &r)
		c.send(clock.now())
		return nil
	})
	if n := c.Stats.SendErrors.Load(); n != 1 || !c.broken || c.Failure(clock.now()) == nil {
		t.Errorf("deleted: %d send errors, broken %t, failure %v", n, c.broken, c.failure)
	}
	wantMissing(t, u.reopen(c))
	add()
	arrives()

	remove()
	add()
	if !u.sendTemplates(c, clock) {
		t.Error("no other socket is wanted, though the interface is another one")
	}
	arrives()
	u.ip(u.router, "link set vpn down\n link set vpn name old")
	if !u.sendTemplates(c, clock) {
		t.Error("no other socket is wanted, though the interface has another name")
	}
	wantMissing(t, u.reopen(c))
}

// wantMissing wants an error that says that there is no interface vpn.
func wantMissing(t *testing.T, err error) {
	t.Helper()
	var bind *BindError
	if !errors.As(err, &bind) || bind.Error() != "there is no interface vpn" {
		t.Errorf("error %v", err)
	}
}

// TestVRFIsUsed has the route to the collector in a VRF alone.
func TestVRFIsUsed(t *testing.T) {
	for name, f := range map[string]family{"IPv4": family4, "IPv6": family6} {
		t.Run(name, func(t *testing.T) {
			u, clock := newUplinks(t), newFakeClock()
			if err := u.router.IP("link add blue type vrf table 10"); err != nil {
				t.Skip("this kernel has no VRF: ", err)
			}
			u.ip(u.router, "link set blue up\n link set wan1 master blue")
			if f == family6 { // the kernel drops them as the interface joins
				_ = u.router.IP("address add " + f.own1 + "/64 nodad dev wan1")
			}
			u.ip(u.router, "route add default via "+f.via0+"\n"+
				"route add default via "+f.via1+" table 10")
			c, far, err := u.bound(f, CollectorConfig{VRF: "blue"}, clock)
			if err != nil {
				t.Fatal(err)
			}
			u.arrivesFrom(c, far, clock, f.own1)
			u.arrivesFrom(c, far, clock, f.own1)
			u.ip(u.router, "link delete blue\n link add blue type vrf table 10\n"+
				"link set blue up\n link set wan1 master blue")
			if !u.sendTemplates(c, clock) {
				t.Error("no other socket is wanted, though the VRF is another one")
			}
		})
	}
}

// TestInterfaceIsNotVRF proves that an interface of another kind is refused as a VRF.
func TestInterfaceIsNotVRF(t *testing.T) {
	u, clock := newUplinks(t), newFakeClock()
	for device, want := range map[string]string{
		"wan1": "interface wan1 is not a VRF",
		"lo":   "interface lo is not a VRF",
		"blue": "there is no interface blue",
	} {
		_, _, err := u.bound(family4, CollectorConfig{VRF: device}, clock)
		var bind *BindError
		if !errors.As(err, &bind) || bind.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// TestProbeIsBound proves that the probe of `conntally check` leaves by the interface, and says if
// there is none.
func TestProbeIsBound(t *testing.T) {
	u, clock, f := newUplinks(t), newFakeClock(), family4
	u.ip(u.router, "route add default via "+f.via0+" metric 10\n"+
		"route add default via "+f.via1+" metric 20")
	c, far, err := u.bound(f, CollectorConfig{Interface: "wan1"}, clock)
	if err != nil {
		t.Fatal(err)
	}
	u.do(u.router, func() error {
		_, err := ProbeCollector(t.Context(), c.Config, clock.now)
		return err
	})
	if _, from := far.receive(t); from.Addr().String() != f.own1 {
		t.Errorf("the probe came from %v, want %s", from, f.own1)
	}
	u.do(u.router, func() error {
		config := c.Config
		config.Interface = "vpn"
		_, err := ProbeCollector(t.Context(), config, clock.now)
		wantMissing(t, err)
		return nil
	})
}

func TestBindErrors(t *testing.T) {
	for err, want := range map[error]string{
		unix.ENODEV: "there is no interface wan1",
		errNotVRF:   "interface wan1 is not a VRF",
		unix.EPERM:  "binding to interface wan1 takes CAP_NET_RAW before Linux 5.7",
		unix.EBADF:  "can't bind to interface wan1: bad file descriptor",
	} {
		if got := (&BindError{"wan1", err}).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

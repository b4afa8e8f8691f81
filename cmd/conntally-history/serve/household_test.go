package serve

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/bench/lab/noise"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	exporting "github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/conntally/probe"
	"github.com/conntally/conntally/conntrack"
)

const (
	// dayVariable sets how long the household's day is, such as "5m".
	dayVariable = "CONNTALLY_DAY"

	householdDevices = 20
	wanIndex         = 4 // of the lab's router with a guest
)

// household is a lab whose client is twenty devices, each with an Ethernet address and an
// address of each family.
type household struct {
	*lab.Lab
	t       *testing.T
	rand    *rand.Rand
	owners  map[netip.Addr]string // device IDs
	history string                // the database
}

func newHousehold(t *testing.T, seed uint64) *household {
	t.Helper()
	sysctls := map[string]string{}
	for _, setting := range []string{
		"acct", "timestamp", "events", "generic_timeout", "icmp_timeout", "icmpv6_timeout",
		"udp_timeout", "udp_timeout_stream", "tcp_timeout_time_wait", "tcp_timeout_close",
	} {
		sysctls["net/netfilter/nf_conntrack_"+setting] = "1"
	}
	h := &household{
		Lab: labtest.New(t, lab.Options{Guest: true, Internet: internet(), Sysctls: sysctls}),
		t:   t, rand: rand.New(rand.NewPCG(seed, 1)), owners: map[netip.Addr]string{},
		history: filepath.Join(t.TempDir(), "history.db"),
	}
	if err := h.addDevices(); err != nil {
		t.Fatal(err)
	}
	if err := h.Observe(); err != nil {
		t.Fatal(err)
	}
	return h
}

func internet() []netip.Addr {
	return []netip.Addr{
		netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("192.0.2.9"),
		netip.MustParseAddr("2001:db8:200::9"),
	}
}

// device returns the addresses of a device: Ethernet, IPv4, IPv6. The noise has others.
func device(i int) (mac, v4, v6 string) {
	return fmt.Sprintf("02:00:00:00:77:%02x", i), fmt.Sprintf("192.168.77.%d", 30+i),
		fmt.Sprintf("2001:db8:77::7700:%x", 1+i)
}

// addDevices gives the client an interface for each device, by which alone the device's packets
// come and go.
func (h *household) addDevices() error {
	for _, key := range []string{"arp_ignore", "arp_announce"} {
		value := map[string]string{"arp_ignore": "1", "arp_announce": "2"}[key]
		if err := h.Client.Sysctl("net/ipv4/conf/all/"+key, value); err != nil {
			return err
		}
	}
	for i := range householdDevices {
		mac, v4, v6 := device(i)
		name, table := fmt.Sprint("device", i), 100+i
		if err := h.Client.IP(strings.NewReplacer("NAME", name, "MAC", mac, "V4", v4, "V6", v6,
			"TABLE", fmt.Sprint(table)).Replace(`link add NAME link eth0 address MAC type macvlan mode bridge
addr add V4/32 dev NAME
addr add V6/128 dev NAME nodad
link set NAME up
rule add from V4 lookup TABLE
-6 rule add from V6 lookup TABLE
route add 192.168.77.0/24 dev NAME table TABLE
route add default via 192.168.77.1 dev NAME table TABLE
-6 route add 2001:db8:77::/64 dev NAME table TABLE
-6 route add default via 2001:db8:77::1 dev NAME table TABLE`)); err != nil {
			return err
		}
		h.owners[netip.MustParseAddr(v4)], h.owners[netip.MustParseAddr(v6)] = mac, mac
	}
	return nil
}

// beginHistory starts the history in the router. The function that it returns ends it.
func (h *household) beginHistory() (end func()) {
	h.t.Helper()
	return h.inRouter(func(ctx context.Context, ready func(error)) error {
		s, err := New(ctx, Options{Config: testConfig(time.Second), Database: h.history,
			Log: zap.NewNop(), Clock: conntrack.SystemClock(),
			Calendar: usage.Calendar{Location: time.UTC}})
		ready(err)
		if err != nil {
			return err
		}
		return errors.Join(s.Run(ctx), s.Close())
	})
}

// begin starts the history and conntally in the router. The function that it returns ends both.
func (h *household) begin(configure func(*exporting.Config)) (end func()) {
	h.t.Helper()
	endHistory := h.beginHistory()
	c := exporting.Default()
	c.Collectors = []exporting.Collector{exporting.NewCollector(address)}
	c.Flow.ActiveTimeout, c.Flow.IdleTimeout = exporting.Duration(2*time.Second),
		exporting.Duration(time.Second)
	c.Conntrack.PollInterval = exporting.Interval(250 * time.Millisecond)
	c.Conntrack.MaxCPU = 100
	c.Control.Socket = ""
	configure(c)
	endProbe := h.inRouter(func(ctx context.Context, ready func(error)) error {
		p, err := probe.New(ctx, probe.Options{Config: c, Log: zap.NewNop()})
		ready(err)
		if err != nil {
			return err
		}
		defer p.Close()
		return p.Run(ctx)
	})
	return func() { endProbe(); endHistory() }
}

// inRouter runs a service in the router, and returns when it is ready. The function that it
// returns ends it, at the latest with the test.
func (h *household) inRouter(
	service func(ctx context.Context, ready func(error)) error,
) (end func()) {
	h.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		ended <- h.Router.Do(func() error {
			return service(ctx, func(err error) { ready <- err })
		})
	}()
	end = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
	})
	h.t.Cleanup(end)
	if err := <-ready; err != nil {
		h.t.Fatal(err)
	}
	return end
}

// something draws what a device does: a page, a call, an upload, a ping, talk with the guest.
func (h *household) something() func(context.Context) error {
	_, v4, v6 := device(h.rand.IntN(householdDevices))
	from, family := netip.MustParseAddr(v4), uint8(unix.AF_INET)
	to := []netip.Addr{internet()[0], internet()[1], netip.MustParseAddr(lab.ServerIPv4),
		netip.MustParseAddr(lab.GuestIPv4)}
	if h.rand.IntN(2) == 0 {
		from, family = netip.MustParseAddr(v6), unix.AF_INET6
		to = []netip.Addr{internet()[2], netip.MustParseAddr(lab.ServerIPv6),
			netip.MustParseAddr(lab.GuestIPv6)}
	}
	peer := to[h.rand.IntN(len(to))]
	ends := func(port uint16) *lab.Ends {
		return &lab.Ends{Host: h.Client, From: from, To: netip.AddrPortFrom(peer, port)}
	}
	size, down := h.rand.IntN(100_000), h.rand.IntN(1_000_000)
	switch h.rand.IntN(4) {
	case 0:
		f := lab.UDPFlow{Family: family, Packets: 1 + size%20, Size: size % 1000, Answered: true,
			Ends: ends(lab.PortAnswer)}
		return func(ctx context.Context) error { return h.UDP(ctx, f) }
	case 1:
		f := lab.EchoFlow{Family: family, Packets: 1 + size%3, Size: size % 1000, Ends: ends(0)}
		return func(ctx context.Context) error { return h.Echo(ctx, f) }
	}
	f := lab.TCPFlow{Family: family, Up: size, Down: down, End: lab.End(h.rand.IntN(2)),
		Ends: ends(lab.PortTCP)}
	return func(ctx context.Context) error { _, err := h.TCP(ctx, f); return err }
}

// day is traffic of all devices for some time, with noise beside it. Each device does something.
func (h *household) day(length time.Duration) {
	h.t.Helper()
	source, err := noise.New(h.Lab, internet()[0], h.rand.Uint64())
	if err != nil {
		h.t.Fatal(err)
	}
	defer source.Close()
	ctx, cancel := context.WithTimeout(context.Background(), length+patience)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for end, n := time.Now().Add(length), 0; n < 100 || time.Now().Before(end); n++ {
		do := h.something()
		if n%4 == 3 {
			do = source.Next().Make
		}
		g.Go(func() error { return do(ctx) })
	}
	if err := g.Wait(); err != nil {
		h.t.Fatal(err)
	}
}

// truth is what each device has moved, as the router's rules counted it.
func (h *household) truth() map[string]usage.Usage {
	h.t.Helper()
	passed, err := h.Observed()
	if err != nil {
		h.t.Fatal(err)
	}
	all := map[string]usage.Usage{}
	for p, c := range passed {
		wan := p.Input == wanIndex || p.Output == wanIndex
		if id := h.owners[p.From.Addr()]; id != "" && p.Input != wanIndex {
			u := all[id]
			u.Add(moved(wan, usage.Counters{UpBytes: c.Bytes, UpPackets: c.Packets}))
			all[id] = u
		}
		if id := h.owners[p.To.Addr()]; id != "" && p.Output != wanIndex {
			u := all[id]
			u.Add(moved(wan, usage.Counters{DownBytes: c.Bytes, DownPackets: c.Packets}))
			all[id] = u
		}
	}
	return all
}

func moved(wan bool, c usage.Counters) usage.Usage {
	if wan {
		return usage.Usage{WAN: c}
	}
	return usage.Usage{LAN: c}
}

// A household's day, of twenty devices by both families, behind a NAT router: what each device
// has moved by the uplink and inside is what the router's rules counted, to the byte, in both
// views of translated connections, with MAC addresses in the records or from the router's
// neighbours; destinations add up to the same.
func TestHousehold(t *testing.T) {
	length := 3 * time.Second
	if text := os.Getenv(dayVariable); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", dayVariable, err)
		}
	}
	for i, configure := range []func(*exporting.Config){
		func(c *exporting.Config) { c.Flow.ExtraFields = []exporting.ExtraField{exporting.ExtraMAC} },
		func(c *exporting.Config) {
			if err := c.Flow.NAT.UnmarshalText([]byte("wire")); err != nil {
				t.Error(err)
			}
		},
		func(c *exporting.Config) {
			c.Flow.Biflow = true
			if err := c.Collectors[0].Protocol.UnmarshalText([]byte("netflow9")); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run([]string{"with MAC addresses", "wire", "NetFlow v9"}[i], func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Log("seed", seed)
			h := newHousehold(t, seed)
			end := h.begin(configure)
			h.day(length)
			if err := h.Freeze(); err != nil {
				t.Fatal(err)
			}
			end()
			got, want := read(t, h.history), h.truth()
			if got.MissingRecords+got.MissingDatagrams+got.UnknownSets > 0 {
				t.Errorf("lost: %+v", got.Intake)
			}
			var bytes uint64
			for i := range householdDevices {
				id, _, _ := device(i)
				if got.devices[id] != want[id] {
					t.Errorf("%s:\n got %+v\nwant %+v", id, got.devices[id], want[id])
				}
				bytes += want[id].WAN.UpBytes + want[id].WAN.DownBytes
			}
			if got.by != got.bytes || bytes == 0 {
				t.Errorf("%d bytes by device, %d by destination", got.bytes, got.by)
			}
			t.Logf("%d records; %d bytes of %d are the devices' by the uplink", got.Records, bytes,
				got.bytes)
		})
	}
}

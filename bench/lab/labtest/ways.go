package labtest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
)

// Way is how one datagram passed the lab's router, where routes alone don't tell.
type Way struct {
	Name          string
	Port          uint16  // where the datagram went; no other way has it
	Input, Output uint32  // ifIndexes of the router, 0 for the router itself
	MAC           [6]byte // of the sender; zeroes of the router's own
	ToS           uint8
}

// The router's interfaces: those of every lab, and those that ways adds.
const (
	lan0, wan0    = 3, 4
	wan1          = 20 // a second uplink, which a mark leads to
	blue0, blue1  = 31, 32
	br0, p41, p42 = 40, 41, 42
	lan0vlan10    = 50
)

// waysSetup is what ip(8) adds to the router. CLIENT and SERVER stand for the namespaces of hosts,
// which get the other ends of cables.
const waysSetup = `
link add wan1 index 20 type veth peer name s20 netns SERVER
address add 203.0.113.1/24 dev wan1
link set wan1 up
route add default via 203.0.113.20 table 2
rule add fwmark 2 lookup 2
route add 192.0.2.99/32 via 192.168.77.11 dev lan0
rule add fwmark 1 lookup 100
route add local default dev lo table 100
`

const vlanSetup = `
link add link lan0 name lan0.10 index 50 type vlan id 10
address add 10.7.0.1/24 dev lan0.10
link set lan0.10 up
`

const vrfSetup = `
link add blue index 30 type vrf table 30
link set blue up
link add blue0 index 31 type veth peer name c31 netns CLIENT
link add blue1 index 32 type veth peer name s32 netns SERVER
link set blue0 master blue
link set blue1 master blue
address add 10.9.0.1/24 dev blue0
address add 10.9.1.1/24 dev blue1
link set blue0 up
link set blue1 up
`

const bridgeSetup = `
link add br0 index 40 type bridge
link add p41 index 41 type veth peer name c41 netns CLIENT
link add p42 index 42 type veth peer name s42 netns SERVER
link set p41 master br0
link set p42 master br0
address add 10.8.0.1/24 dev br0
link set p41 up
link set p42 up
link set br0 up
`

const waysRules = `table ip ways {
	chain pre {
		type filter hook prerouting priority mangle
		udp dport 9003 meta mark set 2
		udp dport 9010 tproxy to 127.0.0.1:9010 meta mark set 1
	}
}`

// Ways sends a datagram on each way that this kernel has, and returns how each passed the router.
// They stay in its connection tracking. With all, none may be missing.
func Ways(t testing.TB, l *lab.Lab, all bool) []Way {
	t.Helper()
	w := &ways{Lab: l, t: t, all: all}
	w.has(waysSetup)
	w.must(l.Server.IP("link set s20 up\naddress add 203.0.113.20/24 dev s20"))
	w.nft()
	w.routed()
	w.local()
	w.multicast()
	if w.has(vlanSetup) {
		w.vlan()
	}
	if w.has(vrfSetup) {
		w.vrf()
	}
	if w.has(bridgeSetup) {
		w.bridged()
	}
	w.await()
	return w.sent
}

// await waits until each datagram has passed the router: a neighbour may have to be found first.
func (w *ways) await() {
	w.t.Helper()
	conn, err := conntrack.Dial(&netlink.Config{NetNS: w.Router.FD()})
	w.must(err)
	defer conn.Close()
	for due := time.Now().Add(5 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		entries, err := conn.Dump(nil)
		w.must(err)
		missing := slices.DeleteFunc(slices.Clone(w.sent), func(way Way) bool {
			return slices.ContainsFunc(entries, func(f conntrack.Flow) bool {
				return f.TupleOrig.Proto.DestinationPort == way.Port
			})
		})
		if len(missing) == 0 {
			return
		}
		if time.Now().After(due) {
			w.t.Fatalf("these have not passed: %+v", missing)
		}
	}
}

// ways is what Ways has done so far.
type ways struct {
	*lab.Lab
	t    testing.TB
	all  bool
	sent []Way
}

func (w *ways) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// has adds devices to the router, and reports whether the kernel has such.
func (w *ways) has(setup string) bool {
	w.t.Helper()
	err := w.Router.IP(strings.NewReplacer("CLIENT", w.Client.Path(), "SERVER", w.Server.Path()).
		Replace(setup))
	if !w.all && errors.Is(err, lab.ErrNoDevice) {
		w.t.Log(err)
		return false
	}
	w.must(err)
	return true
}

func (w *ways) nft() {
	w.t.Helper()
	cmd := exec.Command(Program(w.t, "nft"), "-f", "-")
	cmd.Stdin = strings.NewReader(waysRules)
	var out []byte
	w.must(w.Router.Do(func() (err error) {
		if out, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("nft: %w: %s", err, out)
		}
		return err
	}))
}

// routed sends what the router forwards.
func (w *ways) routed() {
	client := w.mac(w.Client, "eth0")
	w.send(w.Client, Way{"forwarded", 9001, lan0, wan0, client, 0xb8}, lab.ServerIPv4)
	w.send(w.Client, Way{"IPv6", 9002, lan0, wan0, client, 0x2c}, lab.ServerIPv6)
	w.send(w.Client, Way{"by mark", 9003, lan0, wan1, client, 0}, lab.ServerIPv4)
	w.send(w.Client, Way{"back where it came from", 9004, lan0, lan0, client, 0}, "192.0.2.99")
}

func (w *ways) vlan() {
	w.must(w.Client.IP("link add link eth0 name c50 type vlan id 10\nlink set c50 up\n" +
		"address add 10.7.0.2/24 dev c50\nroute add 198.51.100.50/32 via 10.7.0.1"))
	client := w.mac(w.Client, "c50")
	w.send(w.Client, Way{"of a VLAN", 9005, lan0vlan10, wan0, client, 0}, "198.51.100.50")
}

// local sends what the router receives or sends itself.
func (w *ways) local() {
	client := w.mac(w.Client, "eth0")
	w.send(w.Client, Way{"to the router", 9006, lan0, 0, client, 0x10}, lab.RouterLANIPv4)
	w.send(w.Client, Way{"to the router, IPv6", 9007, lan0, 0, client, 0}, lab.RouterLANIPv6)
	w.send(w.Router, Way{"of the router", 9008, 0, wan0, [6]byte{}, 0x20}, lab.ServerIPv4)
	w.send(w.Router, Way{"of the router, IPv6", 9009, 0, wan0, [6]byte{}, 0}, lab.ServerIPv6)
	w.listen("udp4", "127.0.0.1:9010", func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1)
	})
	w.send(w.Client, Way{"to a transparent proxy", 9010, lan0, 0, client, 0}, lab.ServerIPv4)
	w.send(w.Client, Way{"broadcast", 9011, lan0, 0, client, 0}, "192.168.77.255")
}

// multicast sends what the router forwards by a multicast route, and what it listens to itself.
func (w *ways) multicast() {
	client := w.mac(w.Client, "eth0")
	w.must(w.routeGroup([4]byte{239, 1, 2, 3}))
	w.send(w.Client, Way{"multicast", 9012, lan0, wan0, client, 0}, "239.1.2.3")
	joined := w.listen("udp4", "0.0.0.0:9013", nil)
	w.must(control(joined, func(fd int) error {
		return unix.SetsockoptIPMreqn(fd, unix.SOL_IP, unix.IP_ADD_MEMBERSHIP,
			&unix.IPMreqn{Multiaddr: [4]byte{239, 1, 2, 4}, Ifindex: lan0})
	}))
	w.send(w.Client, Way{"multicast to the router", 9013, lan0, 0, client, 0}, "239.1.2.4")
}

func (w *ways) vrf() {
	w.must(w.Client.IP("address add 10.9.0.2/24 dev c31\nlink set c31 up\n" +
		"route add 10.9.1.0/24 via 10.9.0.1"))
	w.must(w.Server.IP("address add 10.9.1.2/24 dev s32\nlink set s32 up"))
	client := w.mac(w.Client, "c31")
	w.send(w.Client, Way{"in a VRF", 9014, blue0, blue1, client, 0}, "10.9.1.2")
	w.send(w.Client, Way{"to the router in a VRF", 9015, blue0, 0, client, 0}, "10.9.0.1")
	w.sendBy(w.Router, Way{"of the router in a VRF", 9016, 0, blue1, [6]byte{}, 0}, "10.9.1.2",
		"blue")
}

func (w *ways) bridged() {
	w.must(w.Client.IP("address add 10.8.0.2/24 dev c41\nlink set c41 up\n" +
		"route add 198.51.100.51/32 via 10.8.0.1"))
	w.must(w.Server.IP("address add 10.8.0.3/24 dev s42\nlink set s42 up"))
	client := w.mac(w.Client, "c41")
	w.send(w.Client, Way{"from a bridge", 9017, br0, wan0, client, 0}, "198.51.100.51")
	err := w.Router.Sysctl("net/bridge/bridge-nf-call-iptables", "1")
	if err != nil && !w.all { // br_netfilter is a module
		w.t.Log(err)
		return
	}
	w.must(err)
	w.listenIn(w.Server, "udp4", "10.8.0.3:9018", nil)
	w.send(w.Client, Way{"through a bridge", 9018, p41, p42, client, 0}, "10.8.0.3")
}

// mac returns the address of a host's interface.
func (w *ways) mac(n *lab.Namespace, name string) (mac [6]byte) {
	w.t.Helper()
	w.must(n.Do(func() error {
		i, err := net.InterfaceByName(name)
		if err == nil {
			copy(mac[:], i.HardwareAddr)
		}
		return err
	}))
	return mac
}

// send sends a datagram to an address.
func (w *ways) send(from *lab.Namespace, way Way, to string) {
	w.t.Helper()
	w.sendBy(from, way, to, "")
}

// sendBy sends it by a VRF of the sender, if one is named.
func (w *ways) sendBy(from *lab.Namespace, way Way, to, vrf string) {
	w.t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) error {
			return errors.Join(unix.BindToDevice(fd, vrf),
				unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1),
				unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_MULTICAST_TTL, 5),
				typeOfService(fd, netip.MustParseAddr(to).Is6(), int(way.ToS)))
		})
	}}
	w.must(from.Do(func() error {
		conn, err := dialer.DialContext(w.t.Context(), "udp",
			net.JoinHostPort(to, fmt.Sprint(way.Port)))
		if err != nil {
			return fmt.Errorf("%s: %w", way.Name, err)
		}
		defer conn.Close()
		_, err = conn.Write([]byte(way.Name))
		return err
	}))
	w.sent = append(w.sent, way)
}

func typeOfService(fd int, v6 bool, tos int) error {
	if v6 {
		return unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_TCLASS, tos)
	}
	return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TOS, tos)
}

// listen opens a UDP socket of the router.
func (w *ways) listen(network, at string, set func(fd int) error) syscall.RawConn {
	w.t.Helper()
	return w.listenIn(w.Router, network, at, set)
}

// listenIn opens one that lasts as long as the test.
func (w *ways) listenIn(
	n *lab.Namespace, network, at string, set func(fd int) error,
) (raw syscall.RawConn) {
	w.t.Helper()
	c := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		if set == nil {
			return nil
		}
		return control(c, set)
	}}
	w.must(n.Do(func() error {
		conn, err := c.ListenPacket(w.t.Context(), network, at)
		if err != nil {
			return err
		}
		w.t.Cleanup(func() { conn.Close() })
		raw, err = conn.(*net.UDPConn).SyscallConn()
		return err
	}))
	return raw
}

func control(c syscall.RawConn, fn func(fd int) error) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = fn(int(fd)) })
	return errors.Join(err, failed)
}

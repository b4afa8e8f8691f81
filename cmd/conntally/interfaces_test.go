package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/export/decode"
)

// The lab's router with a second uplink, wan1, over which nothing is translated, and
// a host on the Internet that both lead to.
const (
	internetHost = "192.0.2.20"
	plainPort    = 7001
	markedPort   = 7002 // its connections have mark 2
	firstWAN1    = 20   // index
)

func (r *rig) uplinks() {
	r.t.Helper()
	r.ip(r.Server, "address add 192.0.2.20/32 dev lo")
	r.ip(r.Router, "route add default via 198.51.100.20 dev wan0")
	r.wan1(firstWAN1)
	r.ip(r.Router, "rule add fwmark 2 lookup 2")
	r.nft(fmt.Sprintf(`table ip marks {
	chain pre {
		type filter hook prerouting priority mangle
		iifname lan0 udp dport %d ct mark set 2
		iifname lan0 meta mark set ct mark
	}
}`, markedPort))
	r.echo(plainPort)
	r.echo(markedPort)
}

// wan1 makes the second uplink, under an index.
func (r *rig) wan1(index int) {
	r.t.Helper()
	r.ip(r.Router, fmt.Sprintf(`link add wan1 index %d type veth peer name eth1 netns %s
address add 203.0.113.1/24 dev wan1
link set wan1 up`, index, r.Server.Path()))
	r.ip(r.Server, "address add 203.0.113.20/24 dev eth1\nlink set eth1 up\n"+
		"route add 192.168.77.0/24 via 203.0.113.1")
	r.ip(r.Router, "route add default via 203.0.113.20 table 2")
}

func (r *rig) ip(n *lab.Namespace, lines string) {
	r.t.Helper()
	if err := n.IP(lines); err != nil {
		r.t.Fatal(err)
	}
}

// echo has the Internet host send back what comes to a UDP port.
func (r *rig) echo(port uint16) {
	r.t.Helper()
	r.answer(r.Server, netip.AddrPortFrom(netip.MustParseAddr(internetHost), port))
}

func (r *rig) answer(n *lab.Namespace, at netip.AddrPort) {
	r.t.Helper()
	var conn *net.UDPConn
	err := n.Do(func() (err error) {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	go func() {
		for b := make([]byte, 2000); ; {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			_, _ = conn.WriteToUDPAddrPort(b[:n], from)
		}
	}()
}

// exchange sends datagrams to a UDP port that answers. It returns their source port, and by
// which of the router's interfaces they left.
func (r *rig) exchange(from *lab.Namespace, to string) (port uint16, by string) {
	r.t.Helper()
	const datagrams = 30
	before := r.sentBy()
	var conn net.Conn
	err := from.Do(func() (err error) { conn, err = net.Dial("udp", to); return err })
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() }) // until then nobody else is given its port
	if err := conn.SetDeadline(time.Now().Add(*patience)); err != nil {
		r.t.Fatal(err)
	}
	b := make([]byte, 100)
	for range datagrams {
		if _, err := conn.Write(b); err != nil {
			r.t.Fatal(err)
		}
		if _, err := conn.Read(b); err != nil {
			r.t.Fatalf("%s doesn't answer: %v", to, err)
		}
	}
	for name, packets := range r.sentBy() {
		if name != "lan0" && name != "lo" && packets-before[name] >= datagrams {
			by = name
		}
	}
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Port(), by
}

// sentBy returns how many packets each of the router's interfaces has sent.
func (r *rig) sentBy() map[string]int {
	r.t.Helper()
	sent := map[string]int{}
	err := r.Router.Do(func() error {
		b, err := os.ReadFile("/proc/thread-self/net/dev")
		for line := range strings.Lines(string(b)) {
			name, counters, ok := strings.Cut(line, ":")
			if fields := strings.Fields(counters); ok && len(fields) > 9 {
				n := 0
				if _, err := fmt.Sscan(fields[9], &n); err != nil {
					return err
				}
				sent[strings.TrimSpace(name)] = n
			}
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return sent
}

// quick lets connections end soon.
func quick() map[string]string {
	return map[string]string{
		"net/netfilter/nf_conntrack_udp_timeout":        "1",
		"net/netfilter/nf_conntrack_udp_timeout_stream": "1",
	}
}

// marking is a configuration with marks that count.
func (r *rig) marking(s *sink) string {
	r.t.Helper()
	text := fmt.Sprintf("[[collector]]\naddress = %q\n[flow]\nroute_mark = true\n[conntrack]\n"+
		"poll_interval = \"500ms\"\n", s.Address())
	return configFile(r.t, text)
}

// TestRecordHasInterfacesOfPackets: with a policy rule by mark, after a change of routes, and
// with an uplink that was created again while the probe runs.
func TestRecordHasInterfacesOfPackets(t *testing.T) {
	t.Parallel()
	r := newRig(t, quick())
	r.uplinks()
	s := r.sink()
	p := r.probe("--config", r.marking(s))
	const lan, wan0 = 3, 4

	plain, marked := fmt.Sprint(internetHost, ":", plainPort),
		fmt.Sprint(internetHost, ":", markedPort)
	s.went(plain, "wan0", lan, wan0)
	s.went(marked, "wan1", lan, firstWAN1)

	r.ip(r.Router, "route replace default via 203.0.113.20 dev wan1")
	s.went(plain, "wan1", lan, firstWAN1)

	const again = firstWAN1 + 13
	r.ip(r.Router, "link delete wan1\nroute add default via 198.51.100.20 dev wan0")
	s.went(plain, "wan0", lan, wan0)
	r.wan1(again)
	s.went(marked, "wan1", lan, again)
	s.named(again, "wan1")

	// The router itself is 0.
	r.answer(r.Router, netip.MustParseAddrPort(lab.RouterLANIPv4+":7003"))
	port, _ := r.exchange(r.Client, lab.RouterLANIPv4+":7003")
	s.has(lab.ClientIPv4, port, lan, 0, 0)
	port, _ = r.exchange(r.Router, plain)
	s.has(lab.RouterWANIPv4, port, 0, wan0, 1)
	r.stop(p)
}

// went exchanges datagrams, which must leave by an interface, and waits for the
// records of both directions to say so.
func (s *sink) went(to, by string, input, output uint32) {
	s.t.Helper()
	port, really := s.rig.exchange(s.rig.Client, to)
	if really != by {
		s.t.Fatalf("packets to %s left by %q, the test wants them to leave by %s", to, really, by)
	}
	s.has(lab.ClientIPv4, port, input, output, 1)
}

// has waits for both records of a connection.
func (s *sink) has(from string, port uint16, input, output uint32, egress uint8) {
	s.t.Helper()
	both := func(flows []decode.Flow) bool {
		return len(direction(flows, from, port)) > 0 && len(toPort(flows, from, port)) > 0
	}
	flows := s.until(fmt.Sprint("records of port ", port), both)
	for _, f := range direction(flows, from, port) {
		if f.Input != input || f.Output != output || f.Direction != egress {
			s.t.Errorf("from %d to %d, direction %d, want from %d to %d, direction %d: %+v",
				f.Input, f.Output, f.Direction, input, output, egress, f)
		}
	}
	for _, f := range toPort(flows, from, port) {
		if f.Input != output || f.Output != input || f.Direction != 0 {
			s.t.Errorf("from %d to %d, direction %d, want from %d to %d: %+v", f.Input, f.Output,
				f.Direction, output, input, f)
		}
	}
}

// named waits until the collector knows the name of an interface.
func (s *sink) named(index uint32, name string) {
	s.t.Helper()
	s.until(fmt.Sprint("the name of interface ", index), func([]decode.Flow) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.ContainsFunc(s.links,
			func(i decode.Interface) bool { return i.Index == index && i.Name == name })
	})
}

// TestInterfaceNamesAreExported: nfcapd knows the interfaces by name, also one that comes and one
// that is renamed while the probe runs.
func TestInterfaceNamesAreExported(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"ipfix", "netflow9"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, quick())
			r.ip(r.Router, "link set lan0 alias Haus-Süd")
			s := r.sink()
			names := r.nfcapdNames(2001)
			p := r.probe("--collector", s.Address(), "--collector", address(2001), "--protocol",
				protocol, "--poll-interval", "500ms")
			r.answer(r.Server, netip.MustParseAddrPort(lab.ServerIPv4+":7001"))
			port, _ := r.exchange(r.Client, lab.ServerIPv4+":7001")
			r.ip(r.Router, "link add ppp7 index 70 type ifb\nlink add old0 index 71 type ifb\n"+
				"link set old0 name new0")
			s.named(70, "ppp7")
			s.named(71, "new0")
			s.has(lab.ClientIPv4, port, 3, 4, 0)
			r.stop(p)
			got := names()
			for index, want := range map[string]string{"3": "Haus-Süd",
				"4": "wan0 veth 198.51.100.1/24"} {
				if got[index] != want {
					t.Errorf("nfdump calls interface %s %q, want %q", index, got[index], want)
				}
			}
		})
	}
}

// nfcapdNames receives with nfcapd, which must not log any problem. The function that it
// returns has nfdump's names of the records' interfaces, by index.
func (r *rig) nfcapdNames(port int) func() map[string]string {
	r.t.Helper()
	nfdump, dir := need(r.t, "nfdump"), r.t.TempDir()
	p := r.startNfcapd(port, dir)
	return func() map[string]string {
		r.endNfcapd(p, port)
		if !strings.Contains(p.String(), "Sequence Errors: 0, Bad Packets: 0") {
			r.t.Errorf("nfcapd says:\n%s", p)
		}
		out, err := exec.Command(nfdump, "-q", "-R", dir, "-o", "fmt:%in;%inam;%out;%onam").Output()
		if err != nil {
			r.t.Fatalf("nfdump: %v", err)
		}
		names := map[string]string{}
		for line := range strings.Lines(string(out)) {
			if f := strings.Split(line, ";"); len(f) == 4 {
				names[strings.TrimSpace(f[0])],
					names[strings.TrimSpace(f[2])] = strings.TrimSpace(f[1]),
					strings.TrimSpace(f[3])
			}
		}
		return names
	}
}

// TestRecordHasChosenNextHop: of two next hops, a record has the one that the kernel chose,
// with NAT (wan0) and without (wan1).
func TestRecordHasChosenNextHop(t *testing.T) {
	t.Parallel()
	r := newRig(t, quick())
	r.uplinks()
	r.ip(r.Server, "route add local 192.0.2.128/25 dev lo")
	r.ip(r.Router,
		"route replace default nexthop via 198.51.100.20 dev wan0 nexthop via 203.0.113.20 dev "+
			"wan1")
	s := r.sink()
	p := r.probe("--collector", s.Address(), "--poll-interval", "500ms")
	index := map[string]uint32{"wan0": 4, "wan1": firstWAN1}
	ports := map[string][]uint16{} // of connections, by what they took
	for host := 130; host < 150; host++ {
		to := fmt.Sprint("192.0.2.", host)
		r.answer(r.Server, netip.AddrPortFrom(netip.MustParseAddr(to), plainPort))
		port, by := r.exchange(r.Client, fmt.Sprint(to, ":", plainPort))
		ports[by] = append(ports[by], port)
	}
	if len(ports["wan0"]) < 3 || len(ports["wan1"]) < 3 {
		t.Errorf("taken: %v", ports)
	}
	for by, all := range ports {
		for _, port := range all {
			s.has(lab.ClientIPv4, port, 3, index[by], 1)
		}
	}
	r.stop(p)
}

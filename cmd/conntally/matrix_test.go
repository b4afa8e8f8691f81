package main

import (
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	ct "github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export/decode"
)

// The matrix: each protocol by each kind of NAT over each IP version, on the real kernel,
// exported by both protocols to every known collector, which has to show all of each record
// that it can show.

// saying is a protocol and the packets of its two sides.
type saying struct {
	proto uint8
	ports bool // conntrack takes the ports into account
	says  func(from, to uint16, answer bool) []byte
}

var sayings = []saying{
	{unix.IPPROTO_TCP, true, tcpSays},
	{unix.IPPROTO_UDP, true, udpSays},
	{unix.IPPROTO_SCTP, true, sctpSays},
	{unix.IPPROTO_UDPLITE, true, udpliteSays},
	{unix.IPPROTO_DCCP, tracksDCCP(), dccpSays},
	{unix.IPPROTO_GRE, false, greSays},
	{experimental, false, rawSays},
	{unix.IPPROTO_ICMP, false, pingSays},
	{unix.IPPROTO_ICMPV6, false, ping6Says},
}

// tracksDCCP: newer kernels take DCCP for a protocol without ports.
func tracksDCCP() bool {
	_, err := kernel.ReadSysctl("dccp_timeout_request")
	return err == nil
}

// natKind is a kind of NAT: rules for what goes to a server of its own.
type natKind struct {
	name      string
	dst       string // last part of the address that the client knows
	server    string // and of the real server
	asRouter  bool   // the server sees the router's address
	shiftFrom uint16 // added to the client's port, by rules for protocols that have ports
	shiftTo   uint16 // and to the server's
}

var natKinds = []natKind{
	{name: "none", dst: "1", server: "1"},
	{name: "snat", dst: "2", server: "2", asRouter: true},
	{name: "dnat", dst: "3", server: "13"},
	{name: "both", dst: "4", server: "14", asRouter: true},
	{name: "source port", dst: "5", server: "5", shiftFrom: 1000},
	{name: "destination port", dst: "6", server: "6", shiftTo: 1000},
}

// wire is one IP version.
type wire struct{ nft, client, router, servers string }

var wires = []wire{
	{"ip", lab.ClientIPv4, lab.RouterWANIPv4, "203.0.113."},
	{"ip6", lab.ClientIPv6, lab.RouterWANIPv6, "2001:db8:200::"},
}

// trip is one connection of the matrix: its ends, as both see each other.
type trip struct {
	saying
	name               string
	client, as         netip.AddrPort // as whom the server sees the client
	server, advertised netip.AddrPort // the server's address as the client knows it
}

const clientPort, serverPort = 2000, 3000

// trips returns all of the matrix. An ICMP belongs to its own IP version, and a
// protocol without ports has none that change.
func trips() (all []trip) {
	for _, w := range wires {
		for _, n := range natKinds {
			for _, s := range sayings {
				v6 := w.nft == "ip6"
				shifts := n.shiftFrom != 0 || n.shiftTo != 0
				if shifts && !s.ports || s.proto == unix.IPPROTO_ICMP && v6 ||
					s.proto == unix.IPPROTO_ICMPV6 && !v6 {
					continue
				}
				all = append(all, newTrip(w, n, s))
			}
		}
	}
	return all
}

func newTrip(w wire, n natKind, s saying) trip {
	at := func(address string, port uint16) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr(address), port)
	}
	as := w.client
	if n.asRouter {
		as = w.router
	}
	return trip{
		saying: s, name: fmt.Sprintf("%s/%d/%s", w.nft, s.proto, n.name),
		client: at(w.client, clientPort), as: at(as, clientPort+n.shiftFrom),
		server:     at(w.servers+n.server, serverPort+n.shiftTo),
		advertised: at(w.servers+n.dst, serverPort),
	}
}

// natRules are those of the matrix in place of the lab's own.
func natRules() string {
	var pre, post strings.Builder
	const withPorts = "meta l4proto { tcp, udp, sctp, udplite, dccp }"
	for _, w := range wires {
		for _, n := range natKinds {
			from := fmt.Sprintf("%s daddr %s%s", w.nft, w.servers, n.dst)
			to := fmt.Sprintf("%s daddr %s%s", w.nft, w.servers, n.server)
			if n.dst != n.server {
				fmt.Fprintf(&pre, "%s dnat to %s%s\n", from, w.servers, n.server)
			}
			if n.shiftTo != 0 {
				fmt.Fprintf(&pre, "%s %s dnat to :%d\n", from, withPorts, serverPort+n.shiftTo)
			}
			if n.asRouter {
				fmt.Fprintf(&post, "%s snat to %s\n", to, w.router)
			}
			if n.shiftFrom != 0 {
				fmt.Fprintf(&post, "%s %s snat to :%d\n", to, withPorts, clientPort+n.shiftFrom)
			}
		}
	}
	return fmt.Sprintf("flush chain inet lab prerouting\nflush chain inet lab postrouting\n"+
		"table inet lab {\nchain prerouting {\n%s}\nchain postrouting {\n%s}\n}\n", &pre, &post)
}

// newMatrix returns a router with the rules of the matrix and a default route, between hosts
// that ignore what they receive: all packets are made up by the test.
func newMatrix(t *testing.T) *rig {
	t.Helper()
	nft := need(t, "nft")
	r := newRigWith(t, lab.Options{
		Deaf: true,
		BehindServer: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"),
			netip.MustParsePrefix("2001:db8:200::/64")},
		Sysctls: map[string]string{"net/netfilter/nf_conntrack_checksum": "0"},
	})
	r.lengthenTimeouts()
	r.command(r.Router, natRules(), nft, "-f", "-")
	for _, family := range []string{"-4", "-6"} {
		via := map[string][2]string{"-4": {lab.ServerIPv4, lab.RouterWANIPv4},
			"-6": {lab.ServerIPv6, lab.RouterWANIPv6}}[family]
		r.command(r.Router, "", need(t, "ip"), family, "route", "add", "default", "via", via[0])
		r.command(r.Server, "", need(t, "ip"), family, "route", "add", "default", "via", via[1])
	}
	return r
}

// lengthenTimeouts has no entry expire during the test, on a slow machine either: those of SCTP
// would last for 3 s. Some kernels don't have all settings.
func (r *rig) lengthenTimeouts() {
	r.t.Helper()
	for _, name := range []string{
		"tcp_timeout_syn_sent", "tcp_timeout_syn_recv", "udp_timeout", "udp_timeout_stream",
		"icmp_timeout", "icmpv6_timeout", "gre_timeout", "gre_timeout_stream",
		"sctp_timeout_cookie_wait", "sctp_timeout_cookie_echoed", "dccp_timeout_request",
		"dccp_timeout_respond",
	} {
		name = "net/netfilter/nf_conntrack_" + name
		if _, err := r.Router.ReadSysctl(name); err != nil {
			continue
		}
		if err := r.Router.Sysctl(name, "600"); err != nil {
			r.t.Fatal(err)
		}
	}
}

// command runs a program in a namespace.
func (r *rig) command(n *lab.Namespace, input, name string, args ...string) {
	r.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	var out []byte
	err := n.Do(func() (err error) { out, err = cmd.CombinedOutput(); return err })
	if err != nil {
		r.t.Fatalf("%v: %v\n%s\n%s", args, err, out, input)
	}
}

// travel makes every trip: the request, then the answer.
func (r *rig) travel(all []trip) {
	r.t.Helper()
	for i, t := range all {
		request := t.says(t.client.Port(), t.advertised.Port(), false)
		r.send(r.Client, packet(t.client.Addr(), t.advertised.Addr(), t.proto, request))
		r.untilEntries(i+1, 0)
	}
	for i, t := range all {
		answer := t.says(t.server.Port(), t.as.Port(), true)
		if t.icmp() {
			answer = t.says(t.as.Port(), 0, true)
		}
		r.send(r.Server, packet(t.server.Addr(), t.as.Addr(), t.proto, answer))
		r.untilEntries(len(all), i+1)
	}
}

// records returns everything to be shown of the trip's two records except their times.
func (t trip) records() [2]shown {
	return [2]shown{t.record(false), t.record(true)}
}

func (t trip) record(answer bool) shown {
	src, as, dst := t.client, t.as, t.server
	in, out, dir := "3", "4", "1"
	if answer {
		src, as, dst = t.server, t.advertised, t.client
		in, out, dir = "4", "3", "0"
	}
	says := t.says(0, 0, answer)
	s := shown{
		"proto": strconv.Itoa(int(t.proto)), "src": src.Addr().String(), "dst": dst.Addr().String(),
		"packets": "1", "bytes": strconv.Itoa(len(packet(src.Addr(), dst.Addr(), t.proto, says))),
		"flags": "0", "in": in, "out": out, "dir": dir, "reason": "4",
	}
	if !t.ports {
		src, as, dst = portless(src), portless(as), portless(dst)
	}
	s["sport"], s["dport"] = fmt.Sprint(src.Port()), fmt.Sprint(dst.Port())
	if src != as {
		s["psrc"], s["psport"] = as.Addr().String(), fmt.Sprint(as.Port())
		s["pdst"], s["pdport"] = dst.Addr().String(), fmt.Sprint(dst.Port())
	}
	switch {
	case t.icmp():
		s["type"], s["code"] = fmt.Sprint(says[0]), "0"
	case t.proto == unix.IPPROTO_TCP && answer:
		s["flags"] = "18" // SYN, ACK
	case t.proto == unix.IPPROTO_TCP:
		s["flags"] = "2"
	}
	return s.tidy()
}

func (t trip) icmp() bool { return t.proto == unix.IPPROTO_ICMP || t.proto == unix.IPPROTO_ICMPV6 }

// untilEntries waits until the router has so many entries, and so many of them were
// answered.
func (r *rig) untilEntries(entries, answered int) {
	r.t.Helper()
	for {
		all := r.entries()
		got := 0
		for i := range all {
			if all[i].CountersReply.Packets > 0 {
				got++
			}
		}
		if len(all) == entries && got == answered {
			return
		}
		if r.ctx.Err() != nil {
			r.t.Fatalf("%d entries, %d answered; want %d and %d", len(all), got, entries, answered)
		}
		time.Sleep(time.Millisecond)
	}
}

// entries dumps the router's, loopback left out.
func (r *rig) entries() []ct.Flow {
	r.t.Helper()
	conn, err := ct.Dial(&netlink.Config{NetNS: r.Router.FD()})
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	all, err := conn.Dump(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return slices.DeleteFunc(all,
		func(f ct.Flow) bool { return f.TupleOrig.IP.SourceAddress.IsLoopback() })
}

// TestMatrix: every field of every record is right at every collector that shows it.
func TestMatrix(t *testing.T) {
	t.Parallel()
	r, all := newMatrix(t), trips()
	sinks := map[string]*sink{"netflow9": r.sink(), "ipfix": r.sink()}
	var viewers []viewer
	for i, protocol := range []string{"netflow9", "ipfix"} {
		viewers = append(viewers,
			r.nfdumpViewer(protocol, 2001+10*i), r.goflow2Viewer(protocol, 2002+10*i),
			r.nfacctdViewer(protocol, 2003+10*i))
	}
	capture, endCapture := r.dumpcap()
	p := r.probe("--config", r.matrixConfig(sinks, viewers))
	r.travel(all)
	r.stop(p)

	want := map[string][]shown{}
	for protocol, s := range sinks {
		want[protocol] = withTimes(t, all, s.all())
	}
	for _, v := range viewers {
		v.shows(t, want[v.protocol])
	}
	endCapture()
	for _, tshark := range r.tsharkViewers(capture, viewers) {
		tshark.shows(t, want[tshark.protocol])
	}
	t.Logf("%d connections, %d records", len(all), len(want["ipfix"]))
}

func (r *rig) matrixConfig(sinks map[string]*sink, viewers []viewer) string {
	r.t.Helper()
	var b strings.Builder
	collector := func(address, protocol string) {
		fmt.Fprintf(&b, "[[collector]]\naddress = %q\nprotocol = %q\n", address, protocol)
	}
	for protocol, s := range sinks {
		collector(s.Address(), protocol)
	}
	for _, v := range viewers {
		collector(v.address, v.protocol)
	}
	return configFile(r.t, b.String())
}

// withTimes compares what our own decoder has read with the trips, and returns what others
// have to show: the same, with its times, which must be plausible.
func withTimes(t *testing.T, all []trip, flows []decode.Flow) (want []shown) {
	t.Helper()
	withoutTimes := without(slices.Concat(common, icmp, nat, rest), times)
	read := map[string]shown{}
	for i := range flows {
		f := &flows[i]
		s := ownView(f)
		read[s.string(withoutTimes)] = s
		if f.End.Before(f.Start) || time.Since(f.Start) > *patience || time.Until(f.End) > 0 {
			t.Errorf("from %v to %v: %v", f.Start, f.End, s)
		}
	}
	for _, trip := range all {
		for _, record := range trip.records() {
			s, ok := read[record.string(withoutTimes)]
			if !ok {
				t.Errorf("%s: no record %s", trip.name, record.string(withoutTimes))
				continue
			}
			want = append(want, s)
		}
	}
	if len(flows) != 2*len(all) || len(want) != len(flows) {
		t.Errorf("%d records of %d connections, %d of them as they are to be", len(flows), len(all),
			len(want))
	}
	return want
}

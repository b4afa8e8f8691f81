package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/export/decode"
)

// collector is a program that receives flows in the router.
type collector struct {
	name, address string
	protocol      string
	// read returns the records that it has received, once it has n of them.
	read func(n int) []record
}

// record is a data record as a collector shows it.
type record struct {
	key            flowKey
	packets, bytes uint64
}

// TestEachCollectorGetsEveryByteOnce: five collectors, by each protocol, in rounds of several
// hundred mixed flows with noise beside them.
func TestEachCollectorGetsEveryByteOnce(t *testing.T) {
	t.Parallel()
	soak := soakTime(t)
	r := newRigWith(t, lab.Options{Internet: internet(), Sysctls: map[string]string{
		"net/netfilter/nf_conntrack_acct":                  "1",
		"net/netfilter/nf_conntrack_tcp_timeout_time_wait": "2",
		"net/netfilter/nf_conntrack_tcp_timeout_close":     "2",
		"net/netfilter/nf_conntrack_udp_timeout":           "3",
		"net/netfilter/nf_conntrack_udp_timeout_stream":    "3",
		"net/netfilter/nf_conntrack_icmp_timeout":          "2",
		"net/netfilter/nf_conntrack_icmpv6_timeout":        "2",
	}})
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithTimeout(t.Context(), soak+*patience)
	t.Cleanup(cancel)
	if err := r.Observe(); err != nil {
		t.Fatal(err)
	}
	// The name of a collector is looked up before all is counted.
	r.nft("table inet nameless {\nchain output {\ntype filter hook output priority raw\n" +
		"udp dport 53 drop\n}\n}\n")
	watch := r.oracle()
	s := r.sink()
	collectors := []collector{
		r.nfcapd("netflow9", 2001), r.nfcapd("ipfix", 2002),
		r.goflow2("netflow9", 2003), r.goflow2("ipfix", 2004),
	}
	p := r.probe("--config", r.config(s, collectors))

	flows, left, events := r.soak(soak)
	watch.untilEnded(r, flows-left)
	if err := r.Freeze(); err != nil {
		t.Fatal(err)
	}
	r.stop(p)
	want, passed := r.tallies()
	records := s.all()
	t.Logf("%d connections, %d events of noise, %d records: %v", flows, events, len(records),
		passed)

	if flows < 200 {
		t.Errorf("%d flows", flows)
	}
	allArrived(t, "the embedded collector", fromDecode(records), want, passed)
	for _, c := range collectors {
		allArrived(t, c.name+" by "+c.protocol, c.read(len(records)), want, passed)
	}
}

// allArrived compares records with the last counters of all entries, flow by flow, and
// with the router's nftables counters, by protocol.
func allArrived(
	t *testing.T, who string, records []record, want tally, forwarded map[lab.Class]lab.Count,
) {
	t.Helper()
	got, sums := tally{}, map[lab.Class]lab.Count{}
	for _, r := range records {
		got.add(r.key, r.packets, r.bytes)
		class := lab.Class{Family: unix.AF_INET, Proto: r.key.proto}
		if r.key.src.Is6() {
			class.Family = unix.AF_INET6
		}
		sum := sums[class]
		sum.Packets += r.packets
		sum.Bytes += r.bytes
		sums[class] = sum
	}
	for class, f := range forwarded {
		if sums[class] != f {
			t.Errorf("%s: %v: collected %v, nftables counted %v", who, class, sums[class], f)
		}
	}
	for k, w := range want {
		if got[k] != w {
			t.Errorf("%s: %v: collected %v, the entry's last counters are %v", who, k, got[k], w)
		}
	}
	for k, g := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%s: %v: collected %v of a flow that never was", who, k, g)
		}
	}
}

// mixedTraffic sends all kinds of traffic at the same time. It returns how many connections
// there were, and how many of them are left open.
func (r *rig) mixedTraffic() (flows, left int) {
	r.t.Helper()
	g, ctx := errgroup.WithContext(r.ctx)
	g.SetLimit(24)
	do := func(fn func() error) { flows++; g.Go(fn) }
	tcp := func(f lab.TCPFlow) {
		do(func() error { _, err := r.TCP(ctx, f); return err })
	}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		for i := range 25 {
			tcp(lab.TCPFlow{Family: family, Up: 100 * i, Down: 3000 * i, End: lab.FIN})
			do(func() error {
				return r.UDP(ctx, lab.UDPFlow{Family: family, Packets: 1 + i%4, Size: 40 + i,
					Answered: true})
			})
			do(func() error {
				return r.UDP(ctx, lab.UDPFlow{Family: family, Packets: 1 + i%3, Size: 30 + i})
			})
		}
		for i := range 12 {
			tcp(lab.TCPFlow{Family: family, Up: 50 * i, Down: 700 * i, End: lab.RST})
			tcp(lab.TCPFlow{Family: family, Up: 70 * i, Down: 900 * i, End: lab.Open})
			left++
			do(func() error {
				return r.Echo(ctx, lab.EchoFlow{Family: family, Packets: 1 + i%5, Size: 50 + i})
			})
			do(func() error {
				_, err := r.Forward(ctx, lab.TCPFlow{Family: family, Up: 80 * i, Down: 1100 * i,
					End: lab.FIN})
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		r.t.Fatal(err)
	}
	return flows, left
}

// config writes a configuration file that exports to s and to collectors. It also has a
// collector that refuses and one without an address, which must not affect the others.
func (r *rig) config(s *sink, collectors []collector) string {
	r.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "[[collector]]\naddress = %q\n", s.Address())
	for _, c := range collectors {
		fmt.Fprintf(&b, "[[collector]]\naddress = %q\nprotocol = %q\n", c.address, c.protocol)
	}
	fmt.Fprintf(&b, "[[collector]]\naddress = %q\n", address(2009))
	fmt.Fprint(&b, "[[collector]]\naddress = \"nobody.invalid:2055\"\n")
	fmt.Fprint(&b, "[flow]\nactive_timeout = \"5s\"\nidle_timeout = \"4s\"\n[conntrack]\n"+
		"poll_interval = \"1s\"\n")
	return configFile(r.t, b.String())
}

// startNfcapd has one store what comes at a port in a directory.
func (r *rig) startNfcapd(port int, directory string, more ...string) *process {
	r.t.Helper()
	p := r.start(need(r.t, "nfcapd"), append([]string{"-b", "127.0.0.1", "-p", strconv.Itoa(port),
		"-w", directory, "-t", "3600"}, more...)...)
	r.untilListening(port)
	return p
}

// endNfcapd ends one that has stored all that was sent to it. It has to wait for the next datagram
// by then: at its end it throws away the one that it has just read.
func (r *rig) endNfcapd(p *process, port int) {
	r.t.Helper()
	r.untilRead(port)
	for !p.sleeps() {
		if r.ctx.Err() != nil {
			r.t.Fatalf("nfcapd never waits:\n%s", p)
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.stop(p)
}

// nfcapd receives into a file that nfdump reads.
func (r *rig) nfcapd(protocol string, port int) collector {
	r.t.Helper()
	nfdump, dir := need(r.t, "nfdump"), r.t.TempDir()
	p := r.startNfcapd(port, dir)
	return collector{"nfdump", address(port), protocol, func(int) []record {
		r.endNfcapd(p, port)
		out, err := exec.Command(nfdump, "-R", dir, "-o", "json").Output()
		if err != nil {
			r.t.Fatalf("nfdump: %v", err)
		}
		return fromNfdump(r.t, out)
	}}
}

func fromNfdump(t *testing.T, out []byte) (records []record) {
	t.Helper()
	var rows []struct {
		Proto   uint8      `json:"proto"`
		Src4    netip.Addr `json:"src4_addr"`
		Dst4    netip.Addr `json:"dst4_addr"`
		Src6    netip.Addr `json:"src6_addr"`
		Dst6    netip.Addr `json:"dst6_addr"`
		SrcPort uint16     `json:"src_port"`
		DstPort uint16     `json:"dst_port"`
		Packets uint64     `json:"in_packets"`
		Bytes   uint64     `json:"in_bytes"`
	}
	if err := json.Unmarshal(out, &rows); err != nil {
		t.Fatalf("nfdump's JSON: %v\n%s", err, out)
	}
	for _, row := range rows {
		src, dst := row.Src4, row.Dst4
		if row.Src6.IsValid() {
			src, dst = row.Src6, row.Dst6
		}
		records = append(records, record{flowKey{row.Proto, src, dst, row.SrcPort, row.DstPort},
			row.Packets, row.Bytes})
	}
	return records
}

// startGoflow2 starts one that writes an object of JSON per record. It has one worker: of several,
// one may decode records before another has read their template in the datagram before, and drops
// them.
func (r *rig) startGoflow2(port int, file string, more ...string) *process {
	r.t.Helper()
	p := r.start(need(r.t, "goflow2"), append([]string{
		"-listen", "netflow://" + address(port) + "?workers=1", "-addr", address(port + 1000),
		"-format", "json", "-transport", "file", "-transport.file", file}, more...)...)
	r.untilListening(port)
	return p
}

func (r *rig) goflow2(protocol string, port int) collector {
	r.t.Helper()
	file := filepath.Join(r.t.TempDir(), "flows.json")
	p := r.startGoflow2(port, file)
	return collector{"goflow2", address(port), protocol, func(n int) []record {
		records := fromGoflow2(r.t, file)
		for len(records) < n && r.ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
			records = fromGoflow2(r.t, file)
		}
		r.stop(p)
		return fromGoflow2(r.t, file)
	}}
}

// fromGoflow2 reads what is in the file so far. The objects stand one after the
// other, not always on lines of their own.
func fromGoflow2(t *testing.T, file string) (records []record) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	protocols := map[string]uint8{
		"TCP": unix.IPPROTO_TCP, "UDP": unix.IPPROTO_UDP,
		"ICMP": unix.IPPROTO_ICMP, "IPv6-ICMP": unix.IPPROTO_ICMPV6,
		"IGMP": unix.IPPROTO_IGMP, "GRE": unix.IPPROTO_GRE, "ESP": unix.IPPROTO_ESP,
		"experimental": experimental,
	}
	for objects := json.NewDecoder(f); ; {
		var o struct {
			Proto   string     `json:"proto"`
			Src     netip.Addr `json:"src_addr"`
			Dst     netip.Addr `json:"dst_addr"`
			SrcPort uint16     `json:"src_port"`
			DstPort uint16     `json:"dst_port"`
			Packets uint64     `json:"packets"`
			Bytes   uint64     `json:"bytes"`
		}
		if objects.Decode(&o) != nil { // the end, or an object that is being written
			return records
		}
		key := flowKey{protocols[o.Proto], o.Src, o.Dst, o.SrcPort, o.DstPort}
		records = append(records, record{key, o.Packets, o.Bytes})
	}
}

func address(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

func fromDecode(flows []decode.Flow) (records []record) {
	for _, f := range flows {
		records = append(records, record{flowKey{f.Protocol, f.Src, f.Dst, f.SrcPort, f.DstPort},
			f.Packets, f.Bytes})
	}
	return records
}

// untilListening waits until a program in the router has bound its UDP port.
func (r *rig) untilListening(port int) {
	r.t.Helper()
	r.untilSocket(port, func(bound bool, _ int) bool { return bound })
}

// untilRead waits until all that was sent to a UDP port of the router is read.
func (r *rig) untilRead(port int) {
	r.t.Helper()
	r.untilSocket(port, func(_ bool, queued int) bool { return queued == 0 })
}

func (r *rig) untilSocket(port int, ok func(bound bool, queued int) bool) {
	r.t.Helper()
	for !ok(r.socket(port)) {
		if r.ctx.Err() != nil {
			r.t.Fatalf("UDP port %d: waited in vain", port)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// socket looks a UDP port up in the router's /proc/net/udp.
func (r *rig) socket(port int) (bound bool, queued int) {
	r.t.Helper()
	err := r.Router.Do(func() error {
		for _, file := range []string{"udp", "udp6"} {
			b, err := os.ReadFile("/proc/thread-self/net/" + file)
			if err != nil {
				return err
			}
			for line := range strings.Lines(string(b)) {
				fields := strings.Fields(line)
				if len(fields) > 4 && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
					_, rx, _ := strings.Cut(fields[4], ":")
					n, err := strconv.ParseInt(rx, 16, 64)
					if err != nil {
						return err
					}
					bound, queued = true, queued+int(n)
				}
			}
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return bound, queued
}

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/export/decode"
)

// TestMarkIsExported has a firewall mark TCP connections: nfacctd prints the mark as the tag of
// their records, in both directions. Other collectors read the same records as without it, and
// NetFlow v9 leaves it out.
func TestMarkIsExported(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"net/netfilter/nf_conntrack_tcp_timeout_time_wait": "2"})
	r.nft(`table inet marks {
	chain forward {
		type filter hook forward priority mangle
		meta l4proto tcp ct mark set 0x80000007
	}
}`)
	nfacctd, nfdump := r.nfacctdTags(2003), r.nfdumpViewer("ipfix", 2055)
	viewers := []viewer{nfdump, r.goflow2Viewer("ipfix", 2056)}
	s := r.sink()
	text := `[flow]
extra_fields = ["flow_id", "vlan", "mac", "zone", "mark"]
[conntrack]
poll_interval = "1s"
[[collector]]
protocol = "netflow9"
address = ` + strconv.Quote(s.Address()) + "\n"
	for _, to := range []string{s.Address(), address(2003), viewers[0].address, viewers[1].address} {
		text += collectorSection(to)
	}
	watch := r.oracle()
	p := r.probe("--config", configFile(t, text))
	const each = 3
	for i := range each {
		if _, err := r.TCP(r.ctx, lab.TCPFlow{
			Family: unix.AF_INET, Up: 100 + i, Down: 3000 * i, End: lab.FIN,
		}); err != nil {
			t.Fatal(err)
		}
		if err := r.UDP(r.ctx, lab.UDPFlow{
			Family: unix.AF_INET, Packets: 1 + i, Size: 40, Answered: true,
		}); err != nil {
			t.Fatal(err)
		}
	}
	watch.untilEnded(r, each)
	r.stop(p)
	var own, plain []string
	var ipfix int
	for _, f := range s.all() {
		mark := uint64(0)
		if f.Protocol == 6 && f.Version == 10 {
			mark = 0x80000007
		}
		if f.Mark != mark {
			t.Errorf("mark %#x, want %#x: %+v", f.Mark, mark, f)
		}
		if f.Version == 10 {
			ipfix++
			own = append(own, fmt.Sprintf("%s tag %d", moved(&f), f.Mark))
			plain = append(plain, moved(&f))
		}
	}
	sameLines(t, "nfacctd", nfacctd(ipfix), own)
	for _, v := range viewers {
		var lines []string
		for _, row := range v.read(ipfix) {
			lines = append(lines, fmt.Sprintf("%s:%s -> %s:%s %s/%s", row["src"], row["sport"],
				row["dst"], row["dport"], row["packets"], row["bytes"]))
		}
		sameLines(t, v.name, lines, slices.Clone(plain))
	}
}

// moved describes what one direction moved.
func moved(f *decode.Flow) string {
	return fmt.Sprintf("%s:%d -> %s:%d %d/%d", f.Src, f.SrcPort, f.Dst, f.DstPort, f.Packets, f.Bytes)
}

// nfacctdTags receives at a port with pmacct, and returns what waits for n records and describes
// them with their tags.
func (r *rig) nfacctdTags(port int) func(n int) []string {
	r.t.Helper()
	p, file := r.nfacctdPrinting(port,
		"tag, src_host, dst_host, src_port, dst_port, timestamp_start")
	return func(n int) (lines []string) {
		r.t.Helper()
		for _, row := range r.untilObjects(file, n, p) {
			tag := row["tag"]
			if n, ok := tag.(float64); ok {
				tag = strconv.FormatFloat(n, 'f', -1, 64)
			}
			lines = append(lines, fmt.Sprintf("%v:%v -> %v:%v %v/%v tag %v", row["ip_src"],
				row["port_src"], row["ip_dst"], row["port_dst"], row["packets"], row["bytes"], tag))
		}
		r.endNfacctd(p)
		if log := p.String(); strings.Contains(log, "WARN") || strings.Contains(log, "ERROR") {
			r.t.Errorf("nfacctd:\n%s", log)
		}
		return lines
	}
}

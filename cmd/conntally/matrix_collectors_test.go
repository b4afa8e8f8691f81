package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/conntally/conntally/export/decode"
)

// shown is what a collector shows of a record. Ports are left out for ICMP, which
// has type and code.
type shown map[string]string

// The names of what is shown, in the order in which it is printed.
var (
	common = []string{"proto", "src", "dst", "sport", "dport", "packets", "bytes", "flags", "in",
		"out", "start", "end"}
	times = []string{"start", "end"}
	icmp  = []string{"type", "code"}
	nat   = []string{"psrc", "pdst", "psport", "pdport"}
	rest  = []string{"dir", "reason"}
)

func without(fields, left []string) []string {
	return slices.DeleteFunc(slices.Clone(fields),
		func(name string) bool { return slices.Contains(left, name) })
}

// viewer is a collector that shows what it has received.
type viewer struct {
	name     string
	address  string
	protocol string
	fields   []string // what it shows, if there is any
	read     func(records int) []shown
	noNAT66  bool
}

// knows returns what of s the viewer knows.
func (v *viewer) knows(s shown) shown {
	if v.noNAT66 && strings.Contains(s["psrc"], ":") {
		s = maps.Clone(s)
		delete(s, "psrc")
		s.tidy()
	}
	return s
}

// string formats the given fields, those that are there.
func (s shown) string(fields []string) string {
	var b strings.Builder
	for _, name := range fields {
		if v, ok := s[name]; ok {
			fmt.Fprintf(&b, "%s=%s ", name, v)
		}
	}
	return b.String()
}

// shows compares what v shows with what it should show.
func (v *viewer) shows(t *testing.T, want []shown) {
	t.Helper()
	texts := func(all []shown) (texts []string) {
		for _, s := range all {
			texts = append(texts, s.string(v.fields))
		}
		slices.Sort(texts)
		return texts
	}
	expected, got := texts(each(want, v.knows)), texts(v.read(len(want)))
	for _, text := range expected {
		if i, ok := slices.BinarySearch(got, text); ok {
			got = slices.Delete(got, i, i+1)
		} else {
			t.Errorf("%s doesn't show   %s", v.name, text)
		}
	}
	for _, text := range got {
		t.Errorf("%s shows instead %s", v.name, text)
	}
}

// put copies a value, if present, from the collector's field of that name.
func (s shown) put(name string, value any) {
	switch v := value.(type) {
	case nil:
	case float64:
		s[name] = strconv.FormatFloat(v, 'f', -1, 64)
	default:
		s[name] = fmt.Sprint(v)
	}
}

// tidy leaves out the ports of ICMP, and translations that change nothing.
func (s shown) tidy() shown {
	if _, ok := s["type"]; ok {
		for _, name := range []string{"sport", "dport", "psport", "pdport"} {
			delete(s, name)
		}
	}
	if s["psrc"] == "" {
		for _, name := range nat {
			delete(s, name)
		}
	}
	return s
}

func isICMP(proto string) bool { return proto == "1" || proto == "58" }

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// ownView is what our decoder shows.
func ownView(f *decode.Flow) shown {
	s := shown{
		"proto": fmt.Sprint(f.Protocol), "src": f.Src.String(), "dst": f.Dst.String(),
		"sport": fmt.Sprint(f.SrcPort), "dport": fmt.Sprint(f.DstPort),
		"packets": fmt.Sprint(f.Packets), "bytes": fmt.Sprint(f.Bytes),
		"flags": fmt.Sprint(f.TCPFlags),
		"in":    fmt.Sprint(f.Input), "out": fmt.Sprint(f.Output), "start": millis(f.Start),
		"end": millis(f.End),
		"dir": fmt.Sprint(f.Direction), "reason": fmt.Sprint(f.EndReason),
	}
	if f.PostSrc.IsValid() {
		s["psrc"], s["pdst"] = f.PostSrc.String(), f.PostDst.String()
		s["psport"], s["pdport"] = fmt.Sprint(f.PostSrcPort), fmt.Sprint(f.PostDstPort)
	}
	if isICMP(s["proto"]) {
		s["type"], s["code"] = fmt.Sprint(f.ICMPType), fmt.Sprint(f.ICMPCode)
	}
	return s.tidy()
}

// nfdumpViewer shows what nfcapd has stored.
func (r *rig) nfdumpViewer(protocol string, port int) viewer {
	r.t.Helper()
	nfdump, dir := need(r.t, "nfdump"), r.t.TempDir()
	p := r.startNfcapd(port, dir)
	read := func(int) []shown {
		r.endNfcapd(p, port)
		if log := p.String(); !strings.Contains(log, "Sequence Errors: 0, Bad Packets: 0") {
			r.t.Errorf("nfcapd by %s:\n%s", protocol, log)
		}
		cmd := exec.Command(nfdump, "-R", dir, "-o", "json")
		cmd.Env = append(os.Environ(), "TZ=UTC")
		out, err := cmd.Output()
		if err != nil {
			r.t.Fatalf("nfdump: %v", err)
		}
		var rows []map[string]any
		if err := json.Unmarshal(out, &rows); err != nil {
			r.t.Fatal(err)
		}
		return each(rows, nfdumpView)
	}
	return viewer{
		name: "nfdump by " + protocol, address: address(port), protocol: protocol, read: read,
		fields:  slices.Concat(common, icmp, nat, []string{"dir"}),
		noNAT66: protocol == "ipfix", // nfdump 1.7.1 ignores elements 281 and 282 of IPFIX
	}
}

func each[From, To any](rows []From, view func(From) To) (all []To) {
	for _, row := range rows {
		all = append(all, view(row))
	}
	return all
}

func nfdumpView(row map[string]any) shown {
	s := shown{}
	for name, field := range map[string]string{
		"proto": "proto", "sport": "src_port", "dport": "dst_port", "packets": "in_packets",
		"bytes": "in_bytes",
		"in":    "input_snmp", "out": "output_snmp", "dir": "direction", "type": "icmp_type",
		"code":   "icmp_code",
		"psport": "src_xlt_port", "pdport": "dst_xlt_port",
	} {
		s.put(name, row[field])
	}
	for name, field := range map[string]string{"src": "src%s_addr", "dst": "dst%s_addr",
		"psrc": "src%s_xlt_ip", "pdst": "dst%s_xlt_ip"} {
		for _, version := range []string{"4", "6"} {
			s.put(name, row[fmt.Sprintf(field, version)])
		}
	}
	s["flags"] = nfdumpFlags(fmt.Sprint(row["tcp_flags"]))
	s["start"], s["end"] = timed("2006-01-02T15:04:05.000", row["first"]),
		timed("2006-01-02T15:04:05.000", row["last"])
	return s.tidy()
}

// nfdumpFlags reads letters and dots. ICMP has none.
func nfdumpFlags(text string) string {
	flags := 0
	for i := range min(len(text), 8) {
		if text[i] == "CEUAPRSF"[i] {
			flags |= 0x80 >> i
		}
	}
	return strconv.Itoa(flags)
}

// timed is a time in ms since 1970, or what could not be read.
func timed(layout string, value any) string {
	at, err := time.Parse(layout, fmt.Sprint(value))
	if err != nil {
		return fmt.Sprint(value)
	}
	return millis(at)
}

// goflow2Viewer shows the JSON that goflow2 writes by default, which has no NAT.
func (r *rig) goflow2Viewer(protocol string, port int) viewer {
	r.t.Helper()
	file := filepath.Join(r.t.TempDir(), "flows.json")
	p := r.startGoflow2(port, file)
	read := func(n int) []shown {
		rows := r.untilObjects(file, n, p)
		r.stop(p)
		if log := p.String(); strings.Contains(log, "level=WARN") ||
			strings.Contains(log, "level=ERROR") {
			r.t.Errorf("goflow2 by %s:\n%s", protocol, log)
		}
		return each(rows, goflow2View)
	}
	return viewer{
		name: "goflow2 by " + protocol, address: address(port), protocol: protocol, read: read,
		fields: slices.Concat(common, icmp),
	}
}

// untilObjects waits until a program has written n JSON objects to a file. They stand one after
// the other, not always on lines of their own.
func (r *rig) untilObjects(file string, n int, p *process) (rows []map[string]any) {
	r.t.Helper()
	for len(rows) < n {
		if r.ctx.Err() != nil {
			r.t.Fatalf("%d of %d objects in %s:\n%s", len(rows), n, file, p)
		}
		time.Sleep(10 * time.Millisecond)
		rows = nil
		b, err := os.ReadFile(file)
		if err != nil {
			continue // not yet there
		}
		for objects := json.NewDecoder(strings.NewReader(string(b))); ; {
			var row map[string]any
			if objects.Decode(&row) != nil { // the end, or an object that is being written
				break
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func goflow2View(row map[string]any) shown {
	s := shown{}
	for name, field := range map[string]string{
		"src": "src_addr", "dst": "dst_addr", "sport": "src_port", "dport": "dst_port",
		"packets": "packets", "bytes": "bytes",
		"in": "in_if", "out": "out_if", "flags": "tcp_flags", "start": "time_flow_start_ns",
		"end": "time_flow_end_ns",
	} {
		s.put(name, row[field])
	}
	s["start"], s["end"] = strings.TrimSuffix(s["start"], "000000"),
		strings.TrimSuffix(s["end"], "000000")
	s["proto"] = map[string]string{
		"TCP": "6", "UDP": "17", "SCTP": "132", "UDPLite": "136", "DCCP": "33", "GRE": "47",
		"ICMP": "1", "IPv6-ICMP": "58", "experimental": strconv.Itoa(experimental),
	}[fmt.Sprint(row["proto"])]
	if isICMP(s["proto"]) {
		s.put("type", row["icmp_type"])
		s.put("code", row["icmp_code"])
	}
	return s.tidy()
}

// nfacctdViewer shows what pmacct prints.
func (r *rig) nfacctdViewer(protocol string, port int) viewer {
	r.t.Helper()
	p, file := r.nfacctdPrinting(port, "src_host, dst_host, src_port, dst_port, proto, tcpflags, "+
		"in_iface, out_iface, post_nat_src_host, post_nat_dst_host, post_nat_src_port, "+
		"post_nat_dst_port, timestamp_start, timestamp_end")
	fields := slices.Concat(common, nat)
	if protocol == "netflow9" { // its times are in whole seconds
		fields = without(fields, times)
	}
	read := func(n int) []shown {
		rows := r.untilObjects(file, n, p)
		r.endNfacctd(p)
		if log := p.String(); strings.Contains(log, "WARN") || strings.Contains(log, "ERROR") {
			r.t.Errorf("nfacctd by %s:\n%s", protocol, log)
		}
		return each(rows, nfacctdView)
	}
	return viewer{
		name: "nfacctd by " + protocol, address: address(port), protocol: protocol, read: read,
		fields: fields, noNAT66: true, // pmacct 1.7.7 ignores elements 281 and 282
	}
}

// nfacctdPrinting starts pmacct's collector at a port. It prints primitives of what it receives to a
// file, as objects.
func (r *rig) nfacctdPrinting(port int, primitives string) (p *process, file string) {
	r.t.Helper()
	dir := r.t.TempDir()
	file, config := filepath.Join(dir, "flows.json"), filepath.Join(dir, "nfacctd.conf")
	text := fmt.Sprintf(`nfacctd_ip: 127.0.0.1
nfacctd_port: %d
plugins: print[all]
aggregate[all]: %s
print_output[all]: json
print_output_file[all]: %s
print_output_file_append[all]: true
print_refresh_time[all]: 1
timestamps_utc: true
timestamps_rfc3339: true
`, port, primitives, file)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return r.startNfacctd(config, port), file
}

// startNfacctd starts one whose plugin writes often, and returns once it does so: what comes
// before the plugin's loop has begun stays in its queue until more comes.
func (r *rig) startNfacctd(config string, port int) *process {
	r.t.Helper()
	p := r.start(need(r.t, "nfacctd"), "-f", config)
	r.untilListening(port)
	p.says("Purging cache")
	return p
}

// untilWritten waits until nfacctd says that it has written so many records. It gives those up that
// it would have to write to a database while another program reads that.
func (r *rig) untilWritten(p *process, records int) {
	r.t.Helper()
	for ; ; time.Sleep(20 * time.Millisecond) {
		written := 0
		for _, purge := range nfacctdPurge.FindAllStringSubmatch(p.String(), -1) {
			n, err := strconv.Atoi(purge[1])
			if err != nil {
				r.t.Fatal(err)
			}
			written += n
		}
		if written >= records {
			return
		}
		if r.ctx.Err() != nil {
			r.t.Fatalf("%d of %d records:\n%s", written, records, p)
		}
	}
}

var nfacctdPurge = regexp.MustCompile(`Purging cache - END .* QN: (\d+)/`)

// endNfacctd ends one by the only signal that it ends by, and waits for its writers, which are
// processes of their own.
func (r *rig) endNfacctd(p *process) {
	r.t.Helper()
	if err := p.end(syscall.SIGINT); err != nil {
		r.t.Errorf("nfacctd: %v\n%s", err, p)
	}
	for syscall.Kill(-p.cmd.Process.Pid, 0) == nil {
		if r.ctx.Err() != nil {
			r.t.Fatalf("nfacctd's writers don't end:\n%s", p)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// nfacctdProtocols are the protocols that nfacctd prints by name.
var nfacctdProtocols = map[string]string{"icmp": "1", "tcp": "6", "udp": "17", "gre": "47",
	"ipv6-icmp": "58", "sctp": "132"}

func nfacctdView(row map[string]any) shown {
	s := shown{}
	for name, field := range map[string]string{
		"proto": "ip_proto", "src": "ip_src", "dst": "ip_dst", "sport": "port_src",
		"dport":   "port_dst",
		"packets": "packets", "bytes": "bytes", "in": "iface_in", "out": "iface_out",
		"flags": "tcp_flags",
		"psrc":  "post_nat_ip_src", "pdst": "post_nat_ip_dst", "psport": "post_nat_port_src",
		"pdport": "post_nat_port_dst",
	} {
		s.put(name, row[field])
	}
	if number, ok := nfacctdProtocols[s["proto"]]; ok {
		s["proto"] = number
	}
	if isICMP(s["proto"]) {
		s["type"] = "" // not shown
	}
	s["start"], s["end"] = timed(time.RFC3339Nano, row["timestamp_start"]),
		timed(time.RFC3339Nano, row["timestamp_end"])
	return s.tidy()
}

// tsharkViewers show how tshark decodes the packets to each of the others in a capture of the
// loopback interface.
func (r *rig) tsharkViewers(capture string, others []viewer) (all []viewer) {
	r.t.Helper()
	args := []string{"-r", capture, "-Y", "cflow", "-T", "pdml"}
	for i := range others {
		args = append(args, "-d", "udp.port=="+others[i].port()+",cflow")
	}
	cmd := exec.Command(need(r.t, "tshark"), args...)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("tshark: %v", err)
	}
	fault := regexp.MustCompile(`.*(_ws\.malformed|_ws\.expert|[Nn]o template).*`).Find(out)
	if fault != nil {
		r.t.Errorf("tshark: %s", fault)
	}
	records := pdmlRecords(r.t, out)
	for i := range others {
		v := &others[i]
		all = append(all, viewer{name: "tshark of " + v.name, protocol: v.protocol,
			read:   func(int) []shown { return records[v.port()] },
			fields: slices.Concat(common, icmp, nat, rest)})
	}
	return all
}

func (v *viewer) port() string {
	_, port, _ := strings.Cut(v.address, ":")
	return port
}

// portless leaves out the port of a protocol that has none for the kernel.
func portless(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), 0) }

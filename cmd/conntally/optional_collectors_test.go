package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/export/decode"
)

// TestCollectorsReadOptionalFields has others read what is optional: tshark the counters of both
// directions, nfdump the translations that begin and end.
func TestCollectorsReadOptionalFields(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"net/netfilter/nf_conntrack_tcp_timeout_time_wait": "2"})
	capture, endCapture := r.dumpcap()
	nfdump := map[string]func() []byte{"netflow9": r.nfdumpJSON(2051), "ipfix": r.nfdumpJSON(2052)}
	s := r.sink()
	text := fmt.Sprintf(
		"collector = [{address = %q}, {address = %q, protocol = \"netflow9\"}, {address = %q}]\n"+
			"[flow]\nbiflow = true\nnat_events = true\n"+
			"extra_fields = [\"flow_id\", \"vlan\", \"mac\", \"zone\", \"mark\"]\n[conntrack]\npoll_interval = \"1s\"\n",
		s.Address(), address(2051), address(2052))
	path := configFile(t, text)
	watch := r.oracle()
	p := r.probe("--config", path)
	for i := range 5 {
		_, err := r.TCP(r.ctx, lab.TCPFlow{Family: unix.AF_INET, Up: 100 * i, Down: 3000 * i,
			End: lab.FIN})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.Forward(r.ctx, lab.TCPFlow{Family: unix.AF_INET, Up: 80, Down: 1100, End: lab.FIN})
	if err != nil {
		t.Fatal(err)
	}
	watch.untilEnded(r, 6)
	r.stop(p)
	flows := s.all()
	endCapture()
	sameLines(t, "tshark", r.tsharkCounters(capture, s.Address()), ownCounters(flows))
	for protocol, read := range nfdump {
		sameLines(t, "nfdump by "+protocol, nfdumpEvents(t, read()), ownEvents(s.events))
	}
}

// dumpcap captures UDP on the router's loopback from its return on. end returns once all
// that was sent before is in the file.
func (r *rig) dumpcap() (file string, end func()) {
	r.t.Helper()
	file = filepath.Join(r.t.TempDir(), "lo.pcap")
	p := r.start(need(r.t, "dumpcap"), "-q", "-i", "lo", "-f", "udp", "-w", file)
	p.says("File:") // by then its socket is open
	return file, func() {
		r.t.Helper()
		last := []byte("the last datagram of the capture")
		for {
			if b, err := os.ReadFile(file); err != nil {
				r.t.Fatal(err)
			} else if bytes.Contains(b, last) {
				break
			}
			if r.ctx.Err() != nil {
				r.t.Fatalf("the capture lacks its last datagram:\n%s", p)
			}
			r.sendToDiscard(last)
			time.Sleep(50 * time.Millisecond)
		}
		r.stop(p)
	}
}

// sendToDiscard sends a datagram that nobody reads to the router's loopback.
func (r *rig) sendToDiscard(b []byte) {
	r.t.Helper()
	err := r.Router.Do(func() error {
		conn, err := net.Dial("udp", "127.0.0.1:9")
		if err != nil {
			return err
		}
		defer conn.Close()
		_, _ = conn.Write(b) // the one before may have been refused
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// sameLines compares lines whose order is not defined.
func sameLines(t *testing.T, who string, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(want) == 0 {
		t.Errorf("%s shows\n%s\nwant\n%s", who, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// nfdumpJSON receives at a port, and returns what reads all of it.
func (r *rig) nfdumpJSON(port int) func() []byte {
	r.t.Helper()
	dir := r.t.TempDir()
	p := r.startNfcapd(port, dir)
	return func() []byte {
		r.endNfcapd(p, port)
		cmd := exec.Command(need(r.t, "nfdump"), "-R", dir, "-o", "json")
		cmd.Env = append(os.Environ(), "TZ=UTC")
		out, err := cmd.Output()
		if err != nil {
			r.t.Fatalf("nfdump: %v", err)
		}
		return out
	}
}

const nfdumpTime = "2006-01-02T15:04:05.000"

// nfdumpEvents has a line for each translation that begins or ends.
func nfdumpEvents(t *testing.T, out []byte) (lines []string) {
	t.Helper()
	var rows []struct {
		Event    json.Number `json:"nat_event_id"` // in quotes before 1.7.5
		At       string      `json:"t_event"`
		First    string      `json:"first"`
		Src      string      `json:"src4_addr"`
		Dst      string      `json:"dst4_addr"`
		SrcPort  uint16      `json:"src_port"`
		DstPort  uint16      `json:"dst_port"`
		Xlt      string      `json:"src4_xlt_ip"`
		XltDst   string      `json:"dst4_xlt_ip"`
		XltPort  json.Number `json:"src_xlt_port"` // likewise
		XltDPort json.Number `json:"dst_xlt_port"`
	}
	if err := json.Unmarshal(out, &rows); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, row := range rows {
		if row.Event == "" {
			continue
		}
		row.At = paddedMilliseconds(row.At)
		if row.First != row.At {
			t.Errorf("an event of %s is filed under %s", row.At, row.First)
		}
		lines = append(lines, fmt.Sprintf("%s %s %s:%d -> %s:%d as %s:%s -> %s:%s", row.Event,
			row.At,
			row.Src, row.SrcPort, row.Dst, row.DstPort, row.Xlt, row.XltPort, row.XltDst,
			row.XltDPort))
	}
	return lines
}

// paddedMilliseconds corrects nfdump 1.7.1's t_event, which writes 98 ms as ".98".
func paddedMilliseconds(at string) string {
	seconds, milliseconds, _ := strings.Cut(at, ".")
	return seconds + "." + strings.Repeat("0", 3-len(milliseconds)) + milliseconds
}

func TestPaddedMillisecondsAreRead(t *testing.T) {
	for at, want := range map[string]string{
		"2026-11-21T18:09:15.5":   "2026-11-21T18:09:15.005",
		"2026-11-21T18:09:15.98":  "2026-11-21T18:09:15.098",
		"2026-11-21T18:09:15.104": "2026-11-21T18:09:15.104",
	} {
		if got := paddedMilliseconds(at); got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}

func ownEvents(events []decode.NATEvent) (lines []string) {
	for _, e := range events {
		lines = append(lines, fmt.Sprintf("%d %s %s:%d -> %s:%d as %s:%d -> %s:%d", e.Event,
			e.Observed.Format(nfdumpTime),
			e.Src, e.SrcPort, e.Dst, e.DstPort, e.PostSrc, e.PostSrcPort, e.PostDst, e.PostDstPort))
	}
	return lines
}

// tsharkCounters has a line for each record of both directions in a capture.
func (r *rig) tsharkCounters(capture, collector string) (lines []string) {
	r.t.Helper()
	_, port, _ := strings.Cut(collector, ":")
	out, err := exec.Command(need(r.t, "tshark"), "-r", capture, "-d", "udp.port=="+port+",cflow",
		"-Y", "udp.dstport=="+port, "-T", "pdml").Output()
	if err != nil {
		r.t.Fatalf("tshark: %v", err)
	}
	var document struct {
		Packets []pdmlField `xml:"packet"`
	}
	if err := xml.NewDecoder(bytes.NewReader(out)).Decode(&document); err != nil {
		r.t.Fatal(err)
	}
	for i := range document.Packets {
		document.Packets[i].records(func(of map[string][]string) {
			if octets, packets := of["cflow.octets"], of["cflow.packets"]; len(octets) == 2 &&
				len(packets) == 2 {
				lines = append(lines, fmt.Sprintf("%s:%s -> %s:%s %s/%s and back %s/%s",
					of["cflow.srcaddr"][0], of["cflow.srcport"][0],
					of["cflow.dstaddr"][0], of["cflow.dstport"][0], packets[0], octets[0],
					packets[1], octets[1]))
			}
		})
	}
	return lines
}

// records calls fn with the values of each data record by the fields' names, in order: the
// second value is that of the reverse direction.
func (f *pdmlField) records(fn func(of map[string][]string)) {
	if f.Name == "" && strings.HasPrefix(f.Show, "Flow ") {
		of := map[string][]string{}
		for _, field := range f.Fields {
			of[field.Name] = append(of[field.Name], field.Show)
		}
		fn(of)
	}
	for _, inside := range [][]pdmlField{f.Protos, f.Fields} {
		for i := range inside {
			inside[i].records(fn)
		}
	}
}

// ownCounters makes such lines of flows that come in pairs.
func ownCounters(flows []decode.Flow) (lines []string) {
	for i := 0; i+1 < len(flows); i += 2 {
		a, b := &flows[i], &flows[i+1]
		lines = append(lines, fmt.Sprintf("%s:%d -> %s:%d %d/%d and back %d/%d", a.Src, a.SrcPort,
			a.Dst, a.DstPort, a.Packets, a.Bytes, b.Packets, b.Bytes))
	}
	return lines
}

package main

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/export/decode"
)

// askForAll writes a configuration that asks for all that is optional.
func (r *rig) askForAll(address string) string {
	r.t.Helper()
	text := fmt.Sprintf(`[[collector]]
address = %q
[[collector]]
address = %q
protocol = "netflow9"
[flow]
biflow = true
nat_events = true
extra_fields = ["flow_id", "vlan", "mac", "zone", "mark"]
active_timeout = "5s"
idle_timeout = "4s"
[conntrack]
poll_interval = "1s"
`, address, address)
	return configFile(r.t, text)
}

// TestAllOptionalFields asks for all that is optional, on the real kernel: an IPFIX and a v9
// collector both count every byte once, the former out of half as many records;
// translations begin and end; hosts on the LAN have their Ethernet address.
func TestAllOptionalFields(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{
		"net/netfilter/nf_conntrack_tcp_timeout_time_wait": "2",
		"net/netfilter/nf_conntrack_udp_timeout":           "3",
		"net/netfilter/nf_conntrack_udp_timeout_stream":    "3",
	})
	watch := r.oracle()
	s := r.sink()
	p := r.probe("--config", r.askForAll(s.Address()))
	const each = 20
	for i := range each {
		_, err := r.TCP(r.ctx, lab.TCPFlow{Family: unix.AF_INET, Up: 100 * i, Down: 3000 * i,
			End: lab.FIN})
		if err != nil {
			t.Fatal(err)
		}
		err = r.UDP(r.ctx, lab.UDPFlow{Family: unix.AF_INET6, Packets: 1 + i%4, Size: 40,
			Answered: i%2 == 0})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.Forward(r.ctx, lab.TCPFlow{Family: unix.AF_INET, Up: 80, Down: 1100, End: lab.FIN})
	if err != nil {
		t.Fatal(err)
	}
	watch.untilEnded(r, 2*each+1)
	forwarded, err := r.Settle(r.ctx)
	if err != nil {
		t.Fatal(err)
	}
	r.stop(p)
	want := watch.all(r)
	byVersion := map[uint16][]decode.Flow{}
	for _, f := range s.all() {
		byVersion[f.Version] = append(byVersion[f.Version], f)
	}
	for version, flows := range byVersion {
		allArrived(t, fmt.Sprintf("version %d", version), fromDecode(flows), want, forwarded)
		r.checkMACs(flows)
	}
	if n, m := s.records(10), s.records(9); n == 0 || m != len(byVersion[9]) ||
		n != len(byVersion[10])-countPairs(byVersion[10]) {
		t.Errorf("IPFIX: %d records, v9: %d, of %d and %d flows", n, m, len(byVersion[10]),
			len(byVersion[9]))
	}
	s.checkTranslations(each + 1)
}

// countPairs counts connections' records of which both directions moved.
func countPairs(flows []decode.Flow) (n int) {
	for i := 1; i < len(flows); i++ {
		a, b := &flows[i-1], &flows[i]
		if a.FlowID == b.FlowID && a.Src == b.Dst && a.End.Equal(b.End) && a.Bytes > 0 &&
			b.Bytes > 0 {
			n++
		}
	}
	return n
}

// checkMACs wants the client's Ethernet address where it is the source or the destination.
func (r *rig) checkMACs(flows []decode.Flow) {
	r.t.Helper()
	var mac [6]byte
	err := r.Client.Do(func() error {
		eth0, err := net.InterfaceByName("eth0")
		if err == nil {
			copy(mac[:], eth0.HardwareAddr)
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	isClient := func(a netip.Addr) bool {
		return a.String() == lab.ClientIPv4 ||
			a.String() == lab.ClientIPv6
	}
	up, down := 0, 0
	for _, f := range flows {
		if isClient(f.Src) {
			if up++; f.SrcMAC != mac {
				r.t.Errorf("%v comes from %x, want %x", f.Src, f.SrcMAC, mac)
			}
		}
		if isClient(f.Dst) {
			if down++; f.DstMAC != mac {
				r.t.Errorf("what is for %v goes to %x, want %x", f.Dst, f.DstMAC, mac)
			}
		}
	}
	if up == 0 || down == 0 {
		r.t.Errorf("%d flows from the client, %d to it", up, down)
	}
}

// checkTranslations wants so many that begin, and each of them to end, for each
// collector.
func (s *sink) checkTranslations(want int) {
	s.t.Helper()
	ids := map[string]int{}
	for _, e := range s.events {
		key := fmt.Sprint(e.Src, e.SrcPort, e.Dst, e.DstPort, e.PostSrc, e.PostSrcPort, e.PostDst,
			e.PostDstPort)
		switch e.Event {
		case 4:
			ids[key]++
		case 5:
			ids[key] += 100
		default:
			s.t.Errorf("event %d: %+v", e.Event, e)
		}
		if age := time.Since(e.Observed); age < 0 || age > *patience {
			s.t.Errorf("observed %v ago: %+v", age, e)
		}
	}
	for key, n := range ids {
		if n != 202 {
			s.t.Errorf("%s began %d times and ended %d times, by two collectors", key, n%100, n/100)
		}
	}
	if len(ids) != want {
		s.t.Errorf("%d translations, want %d: %v", len(ids), want, ids)
	}
}

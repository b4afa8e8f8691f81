package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/export/decode"
)

// filterCases are filters, and the kinds of connections that are exported with them.
var filterCases = []struct{ name, filters, kinds string }{
	{"none", "", "web4 web6 forwarded dns zoned marked ping own"},
	{"network", exclude(`networks = ["192.168.77.10"]`), "web6 marked own"},
	{"network of IPv6", include(`networks = ["2001:db8:77::/48"]`) + exclude(""), "web6 marked"},
	{"source network", include(`source_networks = ["192.168.77.0/24"]`) + exclude(""),
		"web4 dns zoned ping"},
	{"destination network", include(`destination_networks = ["192.168.77.0/24"]`) + exclude(""),
		"forwarded"},
	{"the router's address", exclude(`networks = ["198.51.100.1"]`),
		"web4 web6 forwarded dns zoned marked ping"},
	{"protocol", exclude(`protocols = ["udp", 1]`), "web4 web6 forwarded"},
	{"port", exclude(`ports = [443]`), "dns zoned marked ping own"},
	{"range of ports", include(`destination_ports = ["9-53"]`) + exclude(""),
		"dns zoned marked own"},
	{"port before translation", exclude(fmt.Sprintf("ports = [%d]", lab.PortForward)),
		"web4 web6 forwarded dns zoned marked ping own"},
	{"zone", include(`zones = [7]`) + exclude(""), "zoned"},
	{"no zone", exclude(`zones = [7]`), "web4 web6 forwarded dns marked ping own"},
	{"mark", include(`marks = ["0x10/0xf0"]`) + exclude(""), "marked"},
	{"no mark", include(`marks = [0]`) + exclude(""), "web4 web6 forwarded dns zoned ping own"},
	{"interface of the LAN", exclude(fmt.Sprintf("interfaces = [%q]", lab.LAN)), "own"},
	{"uplink", include(fmt.Sprintf("interfaces = [%q]", lab.WAN)) + exclude(""),
		"web4 web6 forwarded dns zoned marked ping own"},
	{"all at once",
		exclude(`protocols = ["tcp"]`+"\n"+`source_networks = ["192.168.77.0/24"]`+"\n"+
			`destination_ports = [443]`) +
			include(`protocols = ["tcp"]`) + exclude(`interfaces = ["lan0"]`),
		"web6 forwarded own"},
}

func include(conditions string) string {
	return "[[filter]]\naction = \"include\"\n" + conditions + "\n"
}
func exclude(conditions string) string {
	return "[[filter]]\naction = \"exclude\"\n" + conditions + "\n"
}

// TestFiltersSelectFlows: as many probes as there are cases look at the same traffic.
func TestFiltersSelectFlows(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.nft(`table inet meddle {
		chain pre { type filter hook prerouting priority raw;
			meta nfproto ipv4 udp dport 9 ct zone set 7; udp sport 9 ct zone set 7; }
		chain marks { type filter hook forward priority mangle;
			meta nfproto ipv6 udp dport 53 ct mark set 0x12; }
	}`)
	type probing struct {
		sink *sink
		p    *process
	}
	var all []probing
	for i, c := range filterCases {
		s := r.sink()
		path := filepath.Join(t.TempDir(), fmt.Sprintf("%d.toml", i))
		err := os.WriteFile(path, []byte(collectorSection(s.Address())+c.filters), 0o600)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, probing{s, r.probe("--config", path, "--poll-interval", "500ms")})
	}
	r.mixed() // and all has arrived
	whole := map[string]lab.Count{}
	for i, c := range filterCases {
		r.stop(all[i].p)
		got := byKind(all[i].sink.all())
		if i == 0 {
			whole = got
		}
		want := maps.Clone(whole)
		maps.DeleteFunc(want,
			func(kind string, _ lab.Count) bool {
				return !slices.Contains(strings.Fields(c.kinds),
					kind)
			})
		if !maps.Equal(got, want) || len(want) != len(strings.Fields(c.kinds)) {
			t.Errorf("%s: got\n%v, want\n%v", c.name, got, want)
		}
	}
}

// nft loads rules into the router.
func (r *rig) nft(rules string) {
	r.t.Helper()
	cmd := exec.Command(need(r.t, "nft"), "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if err := r.Router.Start(cmd); err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		r.t.Fatalf("nft: %v", err)
	}
}

// mixed sends some of each kind.
func (r *rig) mixed() {
	r.t.Helper()
	g, ctx := errgroup.WithContext(r.ctx)
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		g.Go(func() error {
			_, err := r.TCP(ctx, lab.TCPFlow{Family: family, Up: 1000, Down: 30_000, End: lab.FIN})
			return err
		})
		g.Go(func() error {
			return r.UDP(ctx, lab.UDPFlow{Family: family, Packets: 3, Size: 100, Answered: true})
		})
	}
	g.Go(func() error {
		return r.UDP(ctx, lab.UDPFlow{Family: unix.AF_INET, Packets: 2, Size: 200})
	})
	g.Go(func() error {
		_, err := r.Forward(ctx, lab.TCPFlow{Family: unix.AF_INET, Up: 300, Down: 4000,
			End: lab.FIN})
		return err
	})
	g.Go(func() error {
		return r.Echo(ctx, lab.EchoFlow{Family: unix.AF_INET, Packets: 2, Size: 56})
	})
	g.Go(func() error { return r.ask(ctx) })
	if err := g.Wait(); err != nil {
		r.t.Fatal(err)
	}
}

// ask has the router itself ask the server.
func (r *rig) ask(ctx context.Context) error {
	var conn net.Conn
	err := r.Router.Do(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, "udp",
			fmt.Sprintf("%s:%d", lab.ServerIPv4, lab.PortAnswer))
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write(make([]byte, 10)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 10))
	return err
}

// byKind adds up what has arrived.
func byKind(flows []decode.Flow) map[string]lab.Count {
	sums := map[string]lab.Count{}
	for i := range flows {
		c := sums[kindOf(&flows[i])]
		c.Packets += flows[i].Packets
		c.Bytes += flows[i].Bytes
		sums[kindOf(&flows[i])] = c
	}
	return sums
}

// kindOf returns which of the kinds of traffic that mixed sends a record of either direction
// belongs to.
func kindOf(f *decode.Flow) string {
	between := func(address string, port uint16) bool {
		return f.Src.String() == address && f.SrcPort == port || f.Dst.String() == address &&
			f.DstPort == port
	}
	switch {
	case f.Protocol == unix.IPPROTO_ICMP:
		return "ping"
	case f.Protocol == unix.IPPROTO_TCP && f.Src.Is6():
		return "web6"
	case f.Protocol == unix.IPPROTO_TCP && between(lab.ClientIPv4, lab.PortTCP):
		return "forwarded"
	case f.Protocol == unix.IPPROTO_TCP:
		return "web4"
	case f.Src.Is6():
		return "marked"
	case between(lab.ServerIPv4, lab.PortSilent):
		return "zoned"
	case f.Src.String() == lab.RouterWANIPv4 || f.Dst.String() == lab.RouterWANIPv4:
		return "own"
	}
	return "dns"
}

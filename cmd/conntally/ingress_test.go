package main

import (
	"context"
	"maps"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
)

// countingFlowtable forwards all TCP and UDP past the counters of the lab, and counts it. The
// first connections of a family are offloaded once both sides have spoken.
const countingFlowtable = `table inet fast {
	flowtable f { hook ingress priority 0; devices = { lan0, wan0 }; counter; }
	chain c { type filter hook forward priority -1; meta l4proto { tcp, udp } flow add @f; }
}`

// TestTotalsEqualIngress: what a collector gets is what entered the router, by side, family and
// protocol, to the byte, whether the kernel forwards it past conntrack or not.
func TestTotalsEqualIngress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, protocol string
		offloaded      bool
	}{
		{"IPFIX", "ipfix", false},
		{"NetFlow v9", "netflow9", false},
		{"IPFIX, offloaded", "ipfix", true},
		{"NetFlow v9, offloaded", "netflow9", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ingressSysctls())
			if c.offloaded {
				r.nftOrSkip(countingFlowtable)
			}
			if err := r.CountIngress(); err != nil {
				t.Fatal(err)
			}
			s := r.sink()
			p := r.probe("--config", configFile(t, "[conntrack]\nmax_cpu = 100.0\n"),
				"--collector", s.Address(), "--protocol", c.protocol, "--poll-interval", "1s",
				"--active-timeout", "3s", "--idle-timeout", "2s")
			r.lasting(c.offloaded)
			r.brief()
			want := r.entered()
			r.stop(p)

			got := map[sideClass]lab.Count{}
			for _, f := range s.all() {
				side := map[uint32]lab.Side{3: lab.LAN, 4: lab.WAN}[f.Input]
				family := uint8(unix.AF_INET)
				if f.Src.Is6() {
					family = unix.AF_INET6
				}
				key := sideClass{side, lab.Class{Family: family, Proto: f.Protocol}}
				got[key] = lab.Count{Packets: got[key].Packets + f.Packets,
					Bytes: got[key].Bytes + f.Bytes}
			}
			for key, count := range want {
				if got[key] != count || count.Packets == 0 {
					t.Errorf("%s %v: exported %v, entered %v", key.side, key.class, got[key], count)
				}
			}
			if len(got) != len(want) {
				t.Errorf("exported %v, entered %v", got, want)
			}
			t.Logf("equal: %v", want)
		})
	}
}

// sideClass is what entered the router by a side.
type sideClass struct {
	side  lab.Side
	class lab.Class
}

// ingressSysctls has the kernel count, and connections end soon after their last packet.
func ingressSysctls() map[string]string {
	sysctls := ready()
	for _, setting := range []string{"udp_timeout", "udp_timeout_stream", "icmp_timeout",
		"icmpv6_timeout", "tcp_timeout_time_wait", "tcp_timeout_close"} {
		sysctls[sysctlPrefix+setting] = "3"
	}
	return sysctls
}

// nftOrSkip loads rules into the router, and skips the test where the kernel or nft has no such.
func (r *rig) nftOrSkip(rules string) {
	r.t.Helper()
	cmd := exec.Command(need(r.t, "nft"), "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	var complaint []byte
	err := r.Router.Do(func() (err error) { complaint, err = cmd.CombinedOutput(); return err })
	if err != nil {
		r.t.Skipf("not here: %v: %s", err, complaint)
	}
}

// lasting has a connection of each family and protocol that lives through several polls. If it
// is to be offloaded, it must be.
func (r *rig) lasting(offloaded bool) {
	r.t.Helper()
	const seconds = 8
	g, ctx := errgroup.WithContext(r.ctx)
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		g.Go(func() error {
			_, err := r.TCP(ctx, lab.TCPFlow{Family: family, Up: 1000, Down: seconds * 100_000,
				Rate: 100_000, End: lab.FIN})
			return err
		})
		g.Go(func() error {
			return r.UDP(ctx, lab.UDPFlow{Family: family, Packets: seconds * 5, Size: 200,
				Answered: true, Interval: 200 * time.Millisecond})
		})
	}
	if offloaded {
		g.Go(func() error { return r.untilOffloaded(ctx) })
	}
	if err := g.Wait(); err != nil {
		r.t.Fatal(err)
	}
}

// untilOffloaded waits until the kernel forwards connections of both protocols past conntrack.
func (r *rig) untilOffloaded(ctx context.Context) error {
	for _, protocol := range []string{"tcp", "udp"} {
		for list := []byte(nil); !strings.Contains(string(list), "[OFFLOAD]"); {
			err := r.Router.Do(func() (err error) {
				list, err = exec.CommandContext(ctx, need(r.t, "conntrack"), "-L", "-p",
					protocol).CombinedOutput()
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// brief has connections of all kinds, one of which stays open.
func (r *rig) brief() {
	r.t.Helper()
	g, ctx := errgroup.WithContext(r.ctx)
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		for _, end := range []lab.End{lab.FIN, lab.RST, lab.Open} {
			g.Go(func() error {
				_, err := r.TCP(ctx, lab.TCPFlow{Family: family, Up: 20_000, Down: 300_000, End: end})
				return err
			})
		}
		g.Go(func() error {
			return r.UDP(ctx, lab.UDPFlow{Family: family, Packets: 3, Size: 1000, Answered: true})
		})
		g.Go(func() error { return r.UDP(ctx, lab.UDPFlow{Family: family, Packets: 1, Size: 64}) })
		g.Go(func() error {
			return r.Echo(ctx, lab.EchoFlow{Family: family, Packets: 5, Size: 56})
		})
	}
	g.Go(func() error {
		_, err := r.Forward(ctx, lab.TCPFlow{Family: unix.AF_INET, Up: 500, Down: 40_000,
			End: lab.FIN})
		return err
	})
	if err := g.Wait(); err != nil {
		r.t.Fatal(err)
	}
}

// entered returns what has entered the router when all that the hosts sent has.
func (r *rig) entered() map[sideClass]lab.Count {
	r.t.Helper()
	for {
		sent, err := r.Sent()
		if err != nil {
			r.t.Fatal(err)
		}
		all, sums := map[sideClass]lab.Count{}, map[lab.Class]lab.Count{}
		for _, side := range []lab.Side{lab.LAN, lab.WAN} {
			entered, err := r.Entered(side)
			if err != nil {
				r.t.Fatal(err)
			}
			for class, n := range entered {
				all[sideClass{side, class}] = n
				sums[class] = lab.Count{Packets: sums[class].Packets + n.Packets,
					Bytes: sums[class].Bytes + n.Bytes}
			}
		}
		if maps.Equal(sums, sent) {
			return all
		}
		if err := lab.WaitUntil(r.ctx, time.Now().Add(time.Millisecond)); err != nil {
			r.t.Fatalf("sent %v, entered %v: %v", sent, sums, err)
		}
	}
}

package serve

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/export/decode"
)

const pmacctdConf = `daemonize: false
pcap_interface: lan0
plugins: nfprobe
aggregate: src_host, dst_host, src_port, dst_port, proto
nfprobe_receiver: %s
nfprobe_version: %d
nfprobe_timeouts: tcp=2:tcp.rst=1:tcp.fin=1:udp=2:icmp=2:general=2:maxlife=2:expint=1
`

// What other exporters say arrives as they say it: by each device, to the byte. They may miss
// packets that passed, on a busy machine.
func TestOtherExporters(t *testing.T) {
	t.Parallel()
	softflowd := func(version int) []string {
		return []string{"softflowd", "-d", "-i", "lan0", "-n", relayAddress, "-v", fmt.Sprint(version),
			"-t", "maxlife=2", "-t", "expint=1", "-p", "PID", "-c", "CONTROL"}
	}
	pmacctd := func(int) []string { return []string{"pmacctd", "-f", "CONFIG"} }
	for _, c := range []struct {
		name    string
		version int
		args    func(int) []string
		stop    syscall.Signal
	}{
		{"softflowd, NetFlow v9", 9, softflowd, syscall.SIGTERM},
		{"softflowd, IPFIX", 10, softflowd, syscall.SIGTERM},
		{"pmacctd, NetFlow v9", 9, pmacctd, syscall.SIGINT},
		{"pmacctd, IPFIX", 10, pmacctd, syscall.SIGINT},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := c.args(c.version)
			program := labtest.Program(t, args[0])
			h := newHousehold(t, 1)
			end := h.beginHistory()
			relay := h.newRelay()
			dir := t.TempDir()
			conf := filepath.Join(dir, "conf")
			if err := os.WriteFile(conf, fmt.Appendf(nil, pmacctdConf, relayAddress, c.version), 0o600); err != nil {
				t.Fatal(err)
			}
			for i := range args {
				args[i] = strings.NewReplacer("CONFIG", conf, "PID", filepath.Join(dir, "pid"),
					"CONTROL", filepath.Join(dir, "control")).Replace(args[i])
			}
			cmd := exec.Command(program, args[1:]...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // pmacctd has children
			if err := h.Router.Start(cmd); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
			h.untilCaptured()
			for end := time.Now().Add(patience); !relay.moves(); {
				if time.Now().After(end) {
					t.Fatal("nothing was exported")
				}
				h.converse() // a program that has just begun may miss what passes
				relay.await()
			}
			if err := cmd.Process.Signal(c.stop); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // its status says nothing
			relay.close()
			end()
			got := read(t, h.history)
			for i := range 4 {
				id, _, _ := device(i)
				if got.devices[id].WAN != relay.said[id] {
					t.Errorf("%s:\n got %+v\nwant %+v", id, got.devices[id].WAN, relay.said[id])
				}
				t.Logf("%s: said %+v, passed %+v", id, relay.said[id], h.truth()[id].WAN)
			}
			if got.MissingRecords+got.MissingDatagrams+got.UnknownSets+got.Refused > 0 {
				t.Errorf("lost: %+v", got.Intake)
			}
		})
	}
}

// untilCaptured waits until a program in the router captures packets.
func (h *household) untilCaptured() {
	h.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		var text []byte
		err := h.Router.Do(func() (err error) {
			text, err = os.ReadFile("/proc/thread-self/net/packet")
			return err
		})
		if err != nil {
			h.t.Fatal(err)
		}
		if strings.Count(string(text), "\n") > 1 {
			return
		}
		if time.Now().After(end) {
			h.t.Fatal("nothing is captured")
		}
	}
}

const relayAddress = "127.0.0.1:2057"

// relay passes datagrams on to the history, and adds up what they say.
type relay struct {
	t        *testing.T
	in, out  *net.UDPConn
	owners   map[netip.Addr]string
	ended    chan struct{}
	moved    atomic.Uint64 // bytes
	said     map[string]usage.Counters
	decoding *decode.Decoder
}

func (h *household) newRelay() *relay {
	h.t.Helper()
	r := &relay{t: h.t, owners: h.owners, ended: make(chan struct{}),
		said: map[string]usage.Counters{}, decoding: decode.New(decode.Options{})}
	if err := h.Router.Do(func() (err error) {
		r.in, err = net.ListenUDP("udp",
			net.UDPAddrFromAddrPort(netip.MustParseAddrPort(relayAddress)))
		if err == nil {
			r.out, err = net.DialUDP("udp", nil,
				net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
		}
		return err
	}); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { r.in.Close(); r.out.Close() })
	go r.run()
	return r
}

func (r *relay) run() {
	defer close(r.ended)
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := r.in.ReadFromUDPAddrPort(buffer)
		if err != nil || n == 0 { // an empty one is close's
			return
		}
		m, _ := r.decoding.Decode(buffer[:n], from)
		for _, f := range m.Flows {
			r.add(&f)
		}
		if _, err := r.out.Write(buffer[:n]); err != nil {
			r.t.Error(err)
		}
	}
}

// add adds what a flow says, if one end is a device and the other one outside.
func (r *relay) add(f *decode.Flow) {
	src, dst := r.owners[f.Src], r.owners[f.Dst]
	if slices.Contains(internet(), f.Dst) && src != "" {
		u := r.said[src]
		u.Add(usage.Counters{UpBytes: f.Bytes, UpPackets: f.Packets})
		r.said[src] = u
		r.moved.Add(f.Bytes)
	}
	if slices.Contains(internet(), f.Src) && dst != "" {
		u := r.said[dst]
		u.Add(usage.Counters{DownBytes: f.Bytes, DownPackets: f.Packets})
		r.said[dst] = u
		r.moved.Add(f.Bytes)
	}
}

// moves reports whether something was exported.
func (r *relay) moves() bool { return r.moved.Load() > 0 }

// await waits until something is exported, or for ten seconds.
func (r *relay) await() {
	for end := time.Now().Add(10 * time.Second); !r.moves() && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
}

// close passes on what has arrived by now, and ends.
func (r *relay) close() {
	if _, err := r.in.WriteToUDPAddrPort(nil, netip.MustParseAddrPort(relayAddress)); err != nil {
		r.t.Error(err)
	}
	<-r.ended
}

// converse has four devices talk with the outside by each protocol and family.
func (h *household) converse() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i := range 4 {
		_, v4, v6 := device(i)
		for k, from := range []string{v4, v6} {
			family := [2]uint8{unix.AF_INET, unix.AF_INET6}[k]
			to := [2]netip.Addr{internet()[0], internet()[2]}[k]
			ends := func(port uint16) *lab.Ends {
				return &lab.Ends{Host: h.Client, From: netip.MustParseAddr(from),
					To: netip.AddrPortFrom(to, port)}
			}
			_, err := h.TCP(ctx, lab.TCPFlow{Family: family, Up: 1000 * i, Down: 50_000,
				Ends: ends(lab.PortTCP)})
			if err == nil {
				err = h.UDP(ctx, lab.UDPFlow{Family: family, Packets: 3, Size: 100 * i,
					Answered: true, Ends: ends(lab.PortAnswer)})
			}
			if err == nil {
				err = h.Echo(ctx, lab.EchoFlow{Family: family, Packets: 2, Size: 50, Ends: ends(0)})
			}
			if err != nil {
				h.t.Fatal(err)
			}
		}
	}
}

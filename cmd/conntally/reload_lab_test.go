package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow"
)

// TestReloadUnderLoadLosesNothing: the configuration is changed, then found invalid, under 2000
// new flows per second and a transfer that continues. The collectors that stay, one of each
// protocol, get every byte once; the replaced one and its successor together, too.
func TestReloadUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	const rate, seconds, transferRate = 2000, 8, 100_000
	r := newFaultRig(t, map[string]string{"net/netfilter/nf_conntrack_udp_timeout": "2"})
	stays, stays9, goes, comes := r.bigSink(), r.bigSink(), r.bigSink(), r.bigSink()
	path := filepath.Join(t.TempDir(), "conntally.toml")
	write := func(settings string, sinks ...*sink) { writeSinks(t, path, settings, stays9, sinks) }
	write("", stays, goes)
	p := r.probe("--config", path)
	reload := func(says string) {
		t.Helper()
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		p.says(says)
	}

	var g errgroup.Group
	conn, err := r.TCP(r.ctx, lab.TCPFlow{Family: unix.AF_INET, Rate: transferRate, End: lab.Open})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	g.Go(func() error { return transfer(r.ctx, conn, 3*seconds, transferRate, done) })
	r.flood(seconds*rate, rate)
	g.Go(func() error { defer close(done); r.flood(2*seconds*rate, rate); return nil })
	write("[flow]\nactive_timeout = \"2s\"\n", comes, stays)
	reload("no longer exporting")
	write("[flow]\nactive_timeout = 2\n")
	reload("the old one stays in force")
	comes.until("the transfer in pieces of two seconds", func(flows []decode.Flow) bool {
		return count(reasons(direction(flows, lab.ClientIPv4, conn.LocalPort)), flow.EndActive) >= 3
	})
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	m := r.untilMetrics(p, "the end of all flows",
		func(m metrics) bool { return m.events() >= r.sent })
	udp, tcp := r.forwarded(udp4()), r.forwarded(tcp4())
	r.stop(p)

	r.expectAll(stays, udp, tcp)
	r.expectAll(stays9, udp, tcp)
	before, after := goes.all(), comes.all()
	parts := sumFlows(append(before, after...))
	if parts[udp4()] != udp || parts[tcp4()] != tcp || len(before) == 0 || len(after) == 0 {
		t.Errorf("one after the other they collected %v, %v", parts[udp4()], parts[tcp4()])
	}
	for name, s := range map[string]*sink{
		"stays": stays, "stays, NetFlow v9": stays9, "goes": goes, "comes": comes,
	} {
		s.expectNoGap(t, name)
	}
	t.Logf("%d flows of the flood, udp %v, tcp %v; %v dropped",
		r.sent, udp, tcp, m["conntrack_dropped_events_total"])
	if strings.Count(p.String(), "configuration read again") != 1 {
		t.Errorf("the log:\n%s", p)
	}
}

// writeSinks writes a configuration that exports to sinks by IPFIX and to v9 by NetFlow v9.
func writeSinks(t *testing.T, path, settings string, v9 *sink, sinks []*sink) {
	t.Helper()
	// However slow the machine is, polls are not stretched.
	text := fmt.Sprintf("[metrics]\nlisten = %q\n[conntrack]\nmax_cpu = 100.0\n%s",
		faultMetrics, settings)
	for _, s := range sinks {
		text += collectorSection(s.Address())
	}
	text += collectorSection(v9.Address()) + "protocol = \"netflow9\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// expectAll fails unless a sink got all flows of the flood and all bytes that passed.
func (r *faultRig) expectAll(s *sink, udp, tcp lab.Count) {
	r.t.Helper()
	flows := s.all()
	if got := sumFlows(flows); got[udp4()] != udp || got[tcp4()] != tcp {
		r.t.Errorf("collected %v and %v, nftables counted %v and %v",
			got[udp4()], got[tcp4()], udp, tcp)
	}
	if missing := r.arrivals(flows); missing > 0 {
		r.t.Errorf("%d of %d flows are missing", missing, r.sent)
	}
}

// expectNoGap fails if a sink misses anything that one exporter has sent to it.
func (s *sink) expectNoGap(t *testing.T, name string) {
	t.Helper()
	c := s.decoder.Counters()
	t.Logf("%s: %d records, %+v", name, len(s.flows), c)
	if c.MissedRecords+c.MissedDatagrams+c.UnknownSets+c.Refused > 0 || len(s.from) != 1 {
		t.Errorf("%s: %+v, from %v", name, c, s.from)
	}
}

func count[T comparable](list []T, v T) (n int) {
	for _, e := range list {
		if e == v {
			n++
		}
	}
	return n
}

// TestLostTerminalEndsInteractiveProgram: unless it ignores SIGHUP, as under nohup(1).
func TestLostTerminalEndsInteractiveProgram(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	s := r.sink()
	t.Run("as ever", func(t *testing.T) {
		cmd, _, readOn := loseTerminal(t, r, `exec "$@"`, s.Address())
		go readOn()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	t.Run("nohup", func(t *testing.T) {
		cmd, until, readOn := loseTerminal(t, r, `trap '' HUP; exec "$@"`, s.Address())
		until("configuration read again")
		go readOn()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
}

// loseTerminal has a shell run the probe in a terminal, and takes that away. until reads
// the log up to a text, readOn the rest of it.
func loseTerminal(
	t *testing.T, r *rig, script, collector string,
) (cmd *exec.Cmd, until func(text string), readOn func()) {
	t.Helper()
	master, slave := pty(t)
	cmd = exec.CommandContext(r.ctx, "sh", "-c", script, "sh", os.Args[0], "run", "--collector",
		collector)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdin = slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // and say why it hung
	cmd.WaitDelay = *patience
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Router.Start(cmd); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	lines := bufio.NewScanner(pipe)
	until = func(text string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				return
			}
		}
		t.Fatalf("it ended before it said %q", text)
	}
	until("reading conntrack")
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil { // with its terminal, it goes on
		t.Fatal(err)
	}
	until("configuration read again")
	master.Close()
	return cmd, until, func() {
		for lines.Scan() {
			if r.ctx.Err() != nil {
				t.Log(lines.Text())
			}
		}
	}
}

// pty opens a pseudo terminal.
func pty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Skip(err)
	}
	return master, slave
}

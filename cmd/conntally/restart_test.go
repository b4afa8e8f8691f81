package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/conntally/probe"
	"github.com/conntally/conntally/export/decode"
)

// TestRestartCountsEveryByteOnce: of a transfer that continues while the probe is stopped and
// started again.
func TestRestartCountsEveryByteOnce(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			s := r.sink()
			text := fmt.Sprintf("[[collector]]\naddress = %q\n[flow]\nactive_timeout = \"2s\"\n"+
				"idle_timeout = \"2s\"\n"+
				"state_directory = %q\n[conntrack]\npoll_interval = \"500ms\"\n", s.Address(),
				t.TempDir())
			config := configFile(t, text)
			p := r.probe("--config", config)

			const seconds, rate = 20, 200_000
			conn, err := r.TCP(r.ctx, lab.TCPFlow{Family: unix.AF_INET, Rate: rate, End: lab.Open})
			if err != nil {
				t.Fatal(err)
			}
			var g errgroup.Group
			restarted := make(chan struct{})
			g.Go(func() error { return transfer(r.ctx, conn, seconds, rate, restarted) })
			for restarts := 1; restarts <= 3; restarts++ {
				have := len(s.until("records",
					func(f []decode.Flow) bool { return len(f) >= 4*restarts }))
				s.until("one more", func(f []decode.Flow) bool { return len(f) > have })
				if err := p.end(signal); err != nil && signal == syscall.SIGTERM {
					t.Fatalf("%v\n%s", err, p)
				}
				p = r.probe("--config", config)
				if !strings.Contains(p.String(), "restored from the state file") {
					t.Errorf("restart %d:\n%s", restarts, p)
				}
			}
			close(restarted)
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
			want := r.forwarded(tcp4())
			r.stop(p)
			if got := sum(s.all()); got != want {
				t.Errorf("four lives counted %v, the router forwarded %v", got, want)
			}
		})
	}
}

// transfer moves data for so many seconds, and for as long as the restarts take.
func transfer(
	ctx context.Context, conn *lab.Conn, seconds, rate int, restarted <-chan struct{},
) error {
	for done := false; seconds > 0 || !done; seconds-- {
		if err := conn.Send(ctx, 0, rate); err != nil {
			return err
		}
		select {
		case <-restarted:
			done = true
		default:
		}
	}
	return conn.Close()
}

// TestRestartIgnoresExportOfPreviousRun: its connection to a collector is no flow, although the
// socket of this run has another port.
func TestRestartIgnoresExportOfPreviousRun(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	s := r.sink()
	text := fmt.Sprintf("collector = [{address = %q}, {address = \"198.51.100.20:2055\"}]\n"+
		"[flow]\nidle_timeout = \"1s\"\nstate_directory = %q\n[conntrack]\n"+
		"poll_interval = \"100ms\"\n", s.Address(), t.TempDir())
	config := configFile(t, text)
	for life := range 3 {
		p := r.probe("--config", config)
		_, err := r.TCP(r.ctx, lab.TCPFlow{Family: unix.AF_INET, Up: 1000, Down: 1000,
			End: lab.Open})
		if err != nil {
			t.Fatal(err)
		}
		s.until("its flows", func(f []decode.Flow) bool { return len(f) >= 2*(life+1) })
		r.stop(p)
	}
	for _, f := range s.all() {
		if f.DstPort == 2055 || f.SrcPort == 2055 {
			t.Errorf("its own: %+v", f)
		}
	}
}

// TestCorruptStateFileIsRenamed: and the probe runs.
func TestCorruptStateFileIsRenamed(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	s := r.sink()
	dir := t.TempDir()
	t.Logf("state in %s", dir)
	if err := os.WriteFile(filepath.Join(dir, probe.StateFile),
		[]byte("not a state file, but of some length: "+strings.Repeat("x", 200)),
		0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[[collector]]\naddress = %q\n[flow]\nstate_directory = %q\n", s.Address(),
		dir)
	config := configFile(t, text)
	p := r.probe("--config", config)
	if !strings.Contains(p.String(), "refused") {
		t.Errorf("no word of the refused file:\n%s", p)
	}
	if _, err := os.Stat(filepath.Join(dir, probe.StateFile+".refused")); err != nil {
		t.Error(err)
	}
	r.stop(p)
}

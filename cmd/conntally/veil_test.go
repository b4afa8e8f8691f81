package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/export/decode"
)

// veil runs the probe with another file mounted over a path, and returns a function that
// removes it.
func (r *rig) veil(path, by string, args ...string) (p *process, lift func()) {
	r.t.Helper()
	script := `mount --bind "$1" "$2" && shift 2 && exec "$@"`
	command := append([]string{"--mount", "sh", "-c", script, "sh", by, path, os.Args[0], "run"},
		args...)
	p = r.start(need(r.t, "unshare"), command...)
	p.says("reading conntrack")
	return p, func() {
		r.t.Helper()
		out, err := exec.Command(need(r.t, "nsenter"), "-m", "-n", "-t",
			strconv.Itoa(p.cmd.Process.Pid), "umount", path).CombinedOutput()
		if err != nil {
			r.t.Fatalf("%v: %s", err, out)
		}
	}
}

// TestConntrackLoadedLaterIsPrepared: its settings are turned on then.
func TestConntrackLoadedLaterIsPrepared(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"net/netfilter/nf_conntrack_acct": "0"})
	p, lift := r.veil("/proc/sys/net/netfilter", t.TempDir(), "--collector", "127.0.0.1:9",
		"--poll-interval", "100ms")
	lift()
	p.says("turned on in the kernel")
	if acct, err := r.Router.ReadSysctl("net/netfilter/nf_conntrack_acct"); err != nil ||
		acct != "1" {
		t.Errorf("nf_conntrack_acct is %q: %v", acct, err)
	}
	r.stop(p)
}

// TestTableLimitFollowsKernel: also if nf_conntrack_max is changed.
func TestTableLimitFollowsKernel(t *testing.T) {
	t.Parallel()
	const flows = 20
	// What finds no room is exported whole at its end.
	r := newRig(t, map[string]string{"net/netfilter/nf_conntrack_udp_timeout": "600"})
	few := filepath.Join(t.TempDir(), "max")
	if err := os.WriteFile(few, []byte("5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := r.sink()
	p, lift := r.veil("/proc/sys/net/netfilter/nf_conntrack_max", few,
		"--collector", s.Address(), "--poll-interval", "100ms", "--idle-timeout", "500ms")
	if err := r.Flood(r.ctx, lab.FloodFlow{Flows: flows, Size: 32}); err != nil {
		t.Fatal(err)
	}
	lift()
	s.until("all flows", func(f []decode.Flow) bool { return len(f) >= flows })
	r.stop(p)
}

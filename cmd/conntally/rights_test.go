package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/probe"
	"github.com/conntally/conntally/cmd/internal/command"
)

// nobody is a user without any rights of its own.
const nobody = 65534

// asNobody is a command that runs conntally as an ordinary user with these
// capabilities, such as "+net_admin", and none besides.
func asNobody(t *testing.T, capabilities string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Open(os.Args[0]) // whose directory only root may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { self.Close() })
	set := []string{
		"--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs",
		"--inh-caps", "-all" + capabilities, "--ambient-caps", "-all" + capabilities,
		"--bounding-set", "-all" + capabilities,
		"/proc/self/fd/3",
	}
	cmd := exec.Command(need(t, "setpriv"), append(set, args...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.ExtraFiles = []*os.File{self}
	return cmd
}

// TestCapNetAdminIsEnough: for the settings, the large buffer, interfaces, events, dumps and the
// state file. Every byte is counted.
func TestCapNetAdminIsEnough(t *testing.T) {
	r := newRig(t, map[string]string{"net/netfilter/nf_conntrack_acct": "0",
		"net/netfilter/nf_conntrack_timestamp": "0"})
	s := r.sink()
	state := r.ownedDirectory(nobody)
	t.Setenv("STATE_DIRECTORY", state)
	p := r.run(asNobody(t, ",+net_admin", "run", "--collector", s.Address(), "--log-level",
		"debug"))
	p.says("reading conntrack")
	_, err := r.TCP(r.ctx, lab.TCPFlow{Family: unix.AF_INET, Up: 300_000, Down: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	want := r.forwarded(tcp4())
	r.stop(p)
	if got := sum(s.all()); got != want {
		t.Errorf("counted %v, the router forwarded %v", got, want)
	}
	log := p.String()
	for _, part := range []string{"turned on in the kernel", `"receive_buffer": 33554432`} {
		if !strings.Contains(log, part) {
			t.Errorf("the log lacks %q:\n%s", part, log)
		}
	}
	for line := range strings.Lines(log) {
		// The clock is the machine's.
		if strings.Contains(line, "WARN") &&
			!strings.Contains(line, string(condition.ClockUnsynced)) {
			t.Errorf("a warning: %s", line)
		}
	}
	if _, err := os.Stat(filepath.Join(state, probe.StateFile)); err != nil {
		t.Error(err)
	}
}

// TestWithoutCapNetAdminOneSentence: the error says what is required.
func TestWithoutCapNetAdminOneSentence(t *testing.T) {
	r := newRig(t, nil)
	for _, args := range [][]string{{}, {"--track"}} {
		p := r.run(asNobody(t, "", append([]string{"run", "--collector", "127.0.0.1:2055"},
			args...)...))
		err := <-p.exited
		lines := strings.Split(strings.TrimSpace(p.String()), "\n")
		if len(lines) != 1 || !strings.Contains(lines[0], "this requires CAP_NET_ADMIN") ||
			p.cmd.ProcessState.ExitCode() != command.ExitFailed {
			t.Errorf("%q: ended with %v:\n%s", args, err, p)
		}
	}
}

// ownedDirectory is a directory of that user, whom its parents let in.
func (r *rig) ownedDirectory(uid int) string {
	r.t.Helper()
	dir := r.t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Chown(dir, uid, uid); err != nil {
		r.t.Fatal(err)
	}
	return dir
}

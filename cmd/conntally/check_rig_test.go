package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/conntally/check"
	"github.com/conntally/conntally/cmd/internal/checklist"
)

const sysctlPrefix = "net/netfilter/nf_conntrack_"

// ready are the settings of a router that lacks nothing.
func ready() map[string]string {
	return map[string]string{sysctlPrefix + "acct": "1", sysctlPrefix + "timestamp": "1",
		sysctlPrefix + "events": "1"}
}

// checkedRig is a rig with conntally and sudo as commands.
type checkedRig struct {
	*rig
	bin string
}

func newCheckedRig(t *testing.T) *checkedRig {
	t.Helper()
	r := &checkedRig{newRig(t, ready()), readable(t)}
	var program []byte
	self, err := os.Executable()
	if err == nil {
		program, err = os.ReadFile(self)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(r.bin, "conntally"), program, 0o755)
	}
	if err == nil { // we are root already
		err = os.WriteFile(filepath.Join(r.bin, "sudo"), []byte("#!/bin/sh\nexec \"$@\"\n"), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// readable returns a directory that any user may enter.
func readable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run runs a command in a namespace, or where the test runs, and returns what it
// prints, and its exit code.
func (r *checkedRig) run(in *lab.Namespace, cmd *exec.Cmd) (stdout, stderr bytes.Buffer, code int) {
	r.t.Helper()
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), asProgram+"=1",
		"PATH="+r.bin+":"+os.Getenv("PATH")+":/usr/sbin:/sbin")
	start := cmd.Start
	if in != nil {
		start = func() error { return in.Start(cmd) }
	}
	err := start()
	if err == nil {
		err = cmd.Wait()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatalf("%v: %v", cmd, err)
	}
	return stdout, stderr, cmd.ProcessState.ExitCode()
}

// check runs `conntally check --json` and returns one of its results.
func (r *checkedRig) check(in *lab.Namespace, name string, args ...string) check.Result {
	r.t.Helper()
	return r.result(name, in, exec.Command(filepath.Join(r.bin, "conntally"),
		append([]string{"check", "--json"}, args...)...))
}

// result runs a command that prints results, and returns one. Its exit code must
// report failures.
func (r *checkedRig) result(name string, in *lab.Namespace, cmd *exec.Cmd) (found check.Result) {
	r.t.Helper()
	output, complaint, code := r.run(in, cmd)
	var results []check.Result
	if err := json.Unmarshal(output.Bytes(), &results); err != nil || complaint.Len() > 0 {
		r.t.Fatalf("%v: %s%s", err, &output, &complaint)
	}
	if failed := checklist.Count(results, check.Fail) > 0; code > 1 || failed != (code == 1) {
		r.t.Errorf("exit code %d after %s", code, &output)
	}
	for _, result := range results {
		if result.Name == name {
			found = result
		}
	}
	return found
}

// fix runs the command of a result as a shell does.
func (r *checkedRig) fix(in *lab.Namespace, result check.Result) {
	r.t.Helper()
	r.t.Logf("%s: %s\nfix: %s", result.Status, result.Text, result.Fix)
	if _, complaint, code := r.run(in, exec.Command("sh", "-c", result.Fix)); code != 0 {
		r.t.Errorf("%s: exit code %d: %s", result.Fix, code, &complaint)
	}
}

// want compares a result's status and part of its text.
func (r *checkedRig) want(got check.Result, status check.Status, text string) {
	r.t.Helper()
	if got.Status != status || !strings.Contains(got.Text, text) {
		r.t.Errorf("got %+v, want %s, %q", got, status, text)
	}
}

// keepSysctl returns a setting of the machine, which is put back with the test's
// end. It skips where it can't be set.
func keepSysctl(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, b, 0)
	}
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(path, b, 0); err != nil {
			t.Error(err)
		}
	})
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// config writes a configuration file that any user may read.
func (r *checkedRig) config(text string) string {
	r.t.Helper()
	path := filepath.Join(r.bin, "conntally.toml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// shell runs a command of the test's own in a namespace.
func (r *checkedRig) shell(in *lab.Namespace, command string) {
	r.t.Helper()
	if _, complaint, code := r.run(in, exec.Command("sh", "-c", command)); code != 0 {
		r.t.Fatalf("%s: exit code %d: %s", command, code, &complaint)
	}
}

// checkAll returns what `conntally check` prints in the router.
func (r *checkedRig) checkAll(config string) string {
	r.t.Helper()
	output, _,
		_ := r.run(r.Router, exec.Command(filepath.Join(r.bin, "conntally"), "check", "--json",
		"--config", config))
	return output.String()
}

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/module/document"
)

// documentedRig is a devicesRig with all that commands of documents ask: a service with a
// control socket and metrics, nfcapd and Prometheus.
type documentedRig struct {
	*devicesRig
	service, nfcapd *process
	prometheus      *prometheus
	flows, runtime  string            // directories: nfcapd's and that of the control socket
	programs        string            // a directory that has the program as conntally
	translate       *strings.Replacer // from the document's names to the lab's
}

func newDocumentedRig(t *testing.T) *documentedRig {
	t.Helper()
	for _, name := range []string{"nfdump", "promtool", "jq", "bash", "curl"} {
		need(t, name)
	}
	r := &documentedRig{devicesRig: newDevicesRig(t, 3**patience),
		flows: t.TempDir(), runtime: t.TempDir(), programs: t.TempDir()}
	if err := os.Symlink(os.Args[0], filepath.Join(r.programs, "conntally")); err != nil {
		t.Fatal(err)
	}
	r.nfcapd = r.startNfcapd(2055, r.flows)
	config := configFile(t, fmt.Sprintf(`
[[device]]
name = "laptop"
mac = [%q]
[[device]]
name = "smart-tv"
mac = [%q]
[conntrack]
poll_interval = "1s"
max_cpu = 100.0
[metrics]
listen = %q
devices = true
[control]
socket = %q
%s`, r.mac(r.Client), r.mac(r.Guest), faultMetrics, filepath.Join(r.runtime, "control.sock"),
		collectorSection("127.0.0.1:2055")))
	r.service = r.probe("--config", config)
	r.prometheus = r.rig.prometheus(faultMetrics)
	r.translate = strings.NewReplacer(
		"sudo ", "", "./conntally", "conntally", "/etc/conntally.toml", config,
		"/run/conntally/", r.runtime+"/", "COLLECTOR:2055", "127.0.0.1:2055",
		"/var/cache/nfdump", r.flows, "192.168.1.20", lab.ClientIPv4, "192.168.1.30", lab.GuestIPv4,
		"if 2", "if "+r.index(lab.LAN), "if 5", "if "+r.index(lab.WAN))
	return r
}

// index returns that of an interface of the router.
func (r *rig) index(side lab.Side) string {
	r.t.Helper()
	link := r.link(r.Router, string(side))
	return strconv.Itoa(link.Index)
}

// mac returns the Ethernet address of a host.
func (r *rig) mac(host *lab.Namespace) string {
	r.t.Helper()
	return r.link(host, lab.HostInterface).HardwareAddr.String()
}

func (r *rig) link(n *lab.Namespace, name string) (link *net.Interface) {
	r.t.Helper()
	err := n.Do(func() (err error) { link, err = net.InterfaceByName(name); return err })
	if err != nil {
		r.t.Fatal(err)
	}
	return link
}

// environment is that of a command, which finds the program and its control socket.
func (r *documentedRig) environment() []string {
	return append(os.Environ(), asProgram+"=1", "RUNTIME_DIRECTORY="+r.runtime,
		"PATH="+r.programs+":"+os.Getenv("PATH"))
}

// answer runs a command of a document in the router.
func (r *documentedRig) answer(command string) {
	r.t.Helper()
	cmd := exec.CommandContext(r.ctx, "bash", "-o", "pipefail", "-c", r.translate.Replace(command))
	cmd.Env = r.environment()
	var out []byte
	err := r.Router.Do(func() (err error) { out, err = cmd.CombinedOutput(); return err })
	if status := (*exec.ExitError)(nil); strings.Contains(command, "conntally check") &&
		errors.As(err, &status) && status.ExitCode() == 1 {
		err = nil // the router lacks something
	}
	if err != nil || strings.TrimSpace(string(out)) == "" {
		r.t.Errorf("%s: %v\n%s", command, err, out)
	}
	r.t.Logf("$ %s\n%s", command, out)
}

// answerUntilStopped starts a command of a document that goes on until Ctrl-C, and stops it.
func (r *documentedRig) answerUntilStopped(command, first string) {
	r.t.Helper()
	cmd := exec.Command("bash", "-c", "exec "+r.translate.Replace(command)+" >&2")
	cmd.Env = r.environment()
	p := r.run(cmd)
	p.says(first)
	if err := p.end(syscall.SIGINT); err != nil {
		r.t.Errorf("%s: %v\n%s", command, err, p)
	}
	r.t.Logf("$ %s\n%s", command, p)
}

// untilStopped returns what a command prints first that goes on until Ctrl-C, or "".
func untilStopped(line string) string {
	switch {
	case strings.Contains(line, "conntally run") && !strings.Contains(line, "--check-config"):
		return "reading conntrack"
	case strings.Contains(line, "conntally listen"):
		return "listening on"
	case strings.Contains(line, "conntally top") && !strings.Contains(line, "--once"):
		return "DOWN"
	}
	return ""
}

// TestDocumentedCommands runs each command of each document, unless a comment before it says
// what else does, or why nothing can (module/document). Those of conntally-history have a test
// of their own.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	commands, err := document.Unmarked("../..")
	if err != nil {
		t.Fatal(err)
	}
	r := newDocumentedRig(t)
	r.traffic(5000)
	r.settle(r.prometheus)
	r.traffic(5000) // more than one sample
	r.settle(r.prometheus)
	var ours, theirs, endless int
	for _, c := range commands { // that ask the running service
		if !ofCollector(c) && untilStopped(c) == "" && !ofHistory(c) {
			ours++
			r.answer(c)
		}
	}
	r.stop(r.service)
	r.endNfcapd(r.nfcapd, 2055)
	for _, c := range commands {
		switch first := untilStopped(c); {
		case ofCollector(c):
			theirs++
			r.answer(c)
		case first != "" && !ofHistory(c):
			endless++
			r.answerUntilStopped(c, first)
		}
	}
	if ours < 15 || theirs < 10 || endless < 1 {
		t.Errorf("only %d, %d and %d commands were found", ours, theirs, endless)
	}
}

func ofCollector(line string) bool { return strings.Contains(line, "nfdump -") }
func ofHistory(line string) bool   { return strings.Contains(line, "conntally-history") }

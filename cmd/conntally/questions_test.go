package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/conntally/conntally/bench/lab"
)

// questionsRig is a devicesRig with all that docs/questions.md asks: a service with a control
// socket and metrics, nfcapd and Prometheus.
type questionsRig struct {
	*devicesRig
	service, nfcapd *process
	prometheus      *prometheus
	flows, runtime  string            // directories: nfcapd's and that of the control socket
	programs        string            // a directory that has the program as conntally
	translate       *strings.Replacer // from the document's names to the lab's
}

func newQuestionsRig(t *testing.T) *questionsRig {
	t.Helper()
	for _, name := range []string{"nfdump", "promtool", "jq", "bash"} {
		need(t, name)
	}
	r := &questionsRig{devicesRig: newDevicesRig(t, *patience),
		flows: t.TempDir(), runtime: t.TempDir(), programs: t.TempDir()}
	if err := os.Symlink(os.Args[0], filepath.Join(r.programs, "conntally")); err != nil {
		t.Fatal(err)
	}
	r.nfcapd = r.start(need(t, "nfcapd"), "-b", "127.0.0.1", "-p", "2055", "-t", "3600",
		"-w", r.flows)
	r.untilListening(2055)
	r.service = r.probe("--config", configFile(t, fmt.Sprintf(`
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
		collectorSection("127.0.0.1:2055"))))
	r.prometheus = r.rig.prometheus(faultMetrics)
	r.translate = strings.NewReplacer(
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

// answer runs a command of the document in the router.
func (r *questionsRig) answer(command string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.ctx, "bash", "-o", "pipefail", "-c", r.translate.Replace(command))
	cmd.Env = append(os.Environ(), asProgram+"=1", "RUNTIME_DIRECTORY="+r.runtime,
		"PATH="+r.programs+":"+os.Getenv("PATH"))
	var out []byte
	err := r.Router.Do(func() (err error) { out, err = cmd.CombinedOutput(); return err })
	if err != nil || strings.TrimSpace(string(out)) == "" {
		r.t.Errorf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// TestQuestionsAreAnswered runs each command of docs/questions.md.
func TestQuestionsAreAnswered(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/questions.md")
	if err != nil {
		t.Fatal(err)
	}
	var ours, theirs []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(text, -1) {
		for line := range strings.Lines(string(block[1])) {
			if strings.Contains(line, "nfdump") {
				theirs = append(theirs, strings.TrimSpace(line))
			} else {
				ours = append(ours, strings.TrimSpace(line))
			}
		}
	}
	if len(ours) < 7 || len(theirs) < 7 {
		t.Fatalf("the document has %q and %q", ours, theirs)
	}
	r := newQuestionsRig(t)
	r.traffic(5000)
	r.settle(r.prometheus)
	r.traffic(5000) // more than one sample
	r.settle(r.prometheus)
	for _, command := range ours {
		t.Logf("$ %s\n%s", command, r.answer(command))
	}
	r.stop(r.service)
	r.untilRead(2055)
	if err := r.nfcapd.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for _, command := range theirs {
		t.Logf("$ %s\n%s", command, r.answer(command))
	}
}

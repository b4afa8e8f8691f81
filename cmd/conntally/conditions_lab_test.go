package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/monitor/monitortest"
)

// conditioned is a router in which conntally runs, polls quickly and serves metrics.
type conditioned struct {
	*checkedRig
	p  *process
	in *lab.Namespace // of the program
}

const conditionedMetrics = "127.0.0.1:9469"

func newConditioned(t *testing.T, prepare func(*checkedRig), more ...string) *conditioned {
	t.Helper()
	r := newCheckedRig(t)
	if prepare != nil {
		prepare(r)
	}
	return r.conditioned(more...)
}

func (r *checkedRig) conditioned(more ...string) *conditioned {
	r.t.Helper()
	config := r.config("[conntrack]\nmax_cpu = 100.0\n[flow]\nmax_flows = 1000\n")
	p := r.probe(append(append(conditionedFlags(), "--config", config), more...)...)
	return &conditioned{r, p, r.Router}
}

// conditionedFlags has a collector that refuses what it is sent.
func conditionedFlags() []string {
	return []string{"--collector", "127.0.0.1:9", "--poll-interval", "100ms", "--metrics",
		conditionedMetrics}
}

// conditionedBy starts the program by a shell script, whose "$@" is its command line.
func (r *checkedRig) conditionedBy(script string, more ...string) *conditioned {
	r.t.Helper()
	args := []string{"--mount", "sh", "-c", script, "sh"}
	args = append(append(append(args, more...), os.Args[0], "run"), conditionedFlags()...)
	p := r.start(need(r.t, "unshare"), args...)
	p.says("reading conntrack")
	return &conditioned{r, p, r.Router}
}

// get asks the probe for a page.
func (c *conditioned) get(path string) (code int, body string) {
	c.t.Helper()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (conn net.Conn, err error) {
			return conn, c.in.Do(func() error {
				conn, err = net.Dial("tcp", conditionedMetrics)
				return err
			})
		},
	}}
	response, err := client.Get("http://" + conditionedMetrics + path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

// until waits until a metric is as wanted.
func (c *conditioned) until(metric string, wanted func(float64) bool, label ...string) {
	c.t.Helper()
	for c.ctx.Err() == nil {
		_, page := c.get("/metrics")
		families, err := monitortest.Parse([]byte(page))
		if err != nil {
			c.t.Fatal(err)
		}
		if v, found := families.Value(metric, label...); found && wanted(v) {
			return
		}
		time.Sleep(20 * time.Millisecond) // the interval of the polling
	}
	c.t.Fatalf("%s %v never became as wanted:\n%s", metric, label, c.p)
}

// holds waits until the metric says whether a condition holds.
func (c *conditioned) holds(id condition.ID, want float64) {
	c.t.Helper()
	c.until("conntally_condition", func(v float64) bool { return v == want }, string(id))
}

// judged checks that log and /healthz show a condition that holds.
func (c *conditioned) judged(id condition.ID) {
	c.t.Helper()
	d := condition.Complete(condition.Condition{ID: id})
	for _, part := range []string{d.Message, `"condition": "` + string(id) + `"`} {
		for !strings.Contains(c.p.String(), part) { // the line may still be in the pipe
			if c.ctx.Err() != nil {
				c.t.Fatalf("%s is not in the log:\n%s", id, c.p)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	code, body := c.get("/healthz")
	if named := strings.Contains(body, d.Message); named != (d.Severity == condition.Failing) ||
		named && code != 503 {
		c.t.Errorf("%s: %d %s", id, code, body)
	}
}

// ends waits until a condition no longer holds, and compares log and /healthz with that.
func (c *conditioned) ends(id condition.ID) {
	c.t.Helper()
	c.holds(id, 0)
	message := condition.Complete(condition.Condition{ID: id}).Message
	c.p.says("resolved: " + message)
	if code, body := c.get("/healthz"); strings.Contains(body, message) {
		c.t.Errorf("%s is over: %d %s", id, code, body)
	}
}

// TestConditionsAreLogged causes conditions on a real router, which log, metric and
// /healthz must report.
func TestConditionsAreLogged(t *testing.T) {
	t.Parallel()
	set := func(name, value string) func(*conditioned) {
		return func(c *conditioned) {
			if err := c.Router.Sysctl(sysctlPrefix+name, value); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		id      condition.ID
		prepare func(*checkedRig)
		damage  func(*conditioned)
		fix     func(*conditioned) // nil: it ends by itself
	}{
		{condition.SettingRestored, nil, set("acct", "0"), nil},
		{condition.SettingRestored, nil, set("timestamp", "0"), nil},
		{condition.SettingRestored, nil, set("events", "0"), nil},
		{condition.NotTracked, nil,
			func(c *conditioned) { c.shell(c.Router, "nft flush ruleset; conntrack -F") },
			func(c *conditioned) { c.shell(c.Router, fixOf(condition.NotTracked)) }},
		{condition.Uncounted,
			func(r *checkedRig) {
				r.shell(r.Router, "sysctl -qw net.netfilter.nf_conntrack_acct=0")
				if err := r.Router.Fill(0, 100); err != nil {
					r.t.Fatal(err)
				}
			},
			func(*conditioned) {},
			func(c *conditioned) { c.shell(c.Router, "conntrack -F") }},
		{condition.FlowtableSilent,
			func(r *checkedRig) { r.nftOrSkip(silentFlowtable) }, func(*conditioned) {},
			func(c *conditioned) { c.fix(c.Router, c.check(c.Router, "offload")) }},
		{condition.CountersZeroed, nil, func(c *conditioned) {
			if err := c.Flood(c.ctx, lab.FloodFlow{Flows: 100, Size: 32}); err != nil {
				c.t.Fatal(err)
			}
			c.until("conntally_flows", func(v float64) bool { return v >= 100 })
			c.shell(c.Router, "conntrack -L -z >/dev/null 2>&1")
		}, nil},
		{condition.CountersZeroed, nil, func(c *conditioned) { // before a poll has seen it
			if err := c.UDP(c.ctx, lab.UDPFlow{
				Family: unix.AF_INET, Packets: 3, Size: 100, Answered: true,
			}); err != nil {
				c.t.Fatal(err)
			}
			c.shell(c.Router, "conntrack -L -z >/dev/null 2>&1")
		}, nil},
		{condition.TableFull, nil, func(c *conditioned) { c.fill(1500) }, nil},
	} {
		t.Run(string(c.id), func(t *testing.T) {
			t.Parallel()
			r := newConditioned(t, c.prepare)
			c.damage(r)
			r.holds(c.id, 1)
			r.judged(c.id)
			if c.fix != nil {
				c.fix(r)
				r.ends(c.id)
			}
			r.stop(r.p)
		})
	}
}

// TestServiceWithoutCollectorWarns: nobody reads what a service prints.
func TestServiceWithoutCollectorWarns(t *testing.T) {
	r := newCheckedRig(t)
	for _, socket := range []string{"", "@conntally-test"} {
		cmd := exec.Command(os.Args[0], "run")
		cmd.Env = append(os.Environ(), asProgram+"=1", "NOTIFY_SOCKET="+socket)
		p := r.rig.run(cmd)
		p.says("reading conntrack")
		warned := strings.Contains(p.String(), `"condition": "no_collector"`)
		if warned != (socket != "") {
			t.Errorf("NOTIFY_SOCKET=%s:\n%s", socket, p)
		}
		if n := strings.Count(p.String(), "no collector is configured"); n != 1 {
			t.Errorf("NOTIFY_SOCKET=%s: %d lines say what happens without a collector:\n%s",
				socket, n, p)
		}
		r.stop(p)
	}
}

// TestWithoutNfnetlinkErrorNamesModule: one sentence says what is missing, and the command.
func TestWithoutNfnetlinkErrorNamesModule(t *testing.T) {
	err := explain(fmt.Errorf("conntrack events: %w",
		os.NewSyscallError("socket", unix.EPROTONOSUPPORT)))
	if want := "nfnetlink is not loaded: modprobe nf_conntrack_netlink"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

func fixOf(id condition.ID) string { return condition.Complete(condition.Condition{ID: id}).Fix }

// TestSettingsThatStayOffRaiseConditions: each that can't be turned on, as long as it is off.
func TestSettingsThatStayOffRaiseConditions(t *testing.T) {
	for id, name := range map[condition.ID]string{
		condition.AcctOff: "acct", condition.TimestampOff: "timestamp",
		condition.EventsOff: "events", condition.EventsAuto: "events",
	} {
		t.Run(string(id), func(t *testing.T) {
			r := newCheckedRig(t)
			value := map[bool]string{true: "2", false: "0"}[id == condition.EventsAuto]
			c := r.conditionedWith(name, value)
			c.holds(id, 1)
			c.judged(id)
			if !strings.Contains(c.p.String(), "read-only file system") {
				t.Errorf("doesn't say why it stays off:\n%s", c.p)
			}
			pid := fmt.Sprint(c.p.cmd.Process.Pid)
			// Lazily: the program may have the file open at the moment.
			out, err := exec.Command(need(t, "nsenter"), "-m", "-n", "-t", pid, "umount", "-l",
				"/proc/sys/"+sysctlPrefix+name).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			c.ends(id)
			c.stop(c.p)
		})
	}
}

// conditionedWith starts a program to which a setting seems to have some value: a file that it
// can't write takes the setting's place.
func (r *checkedRig) conditionedWith(name, value string) *conditioned {
	r.t.Helper()
	file := filepath.Join(r.t.TempDir(), name)
	if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	script := `mount --bind "$1" "$2" && mount -o remount,bind,ro "$2" && shift 2 && exec "$@"`
	return r.conditionedBy(script, file, "/proc/sys/"+sysctlPrefix+name)
}

// TestEndsWithoutEventsAreReported: connections begin and end without events, as if another
// module had taken the notifier. The program believes that events are on, and so can't turn them
// on before the connections begin.
func TestEndsWithoutEventsAreReported(t *testing.T) {
	r := newCheckedRig(t)
	if err := r.Router.Sysctl(sysctlPrefix+"events", "0"); err != nil {
		t.Fatal(err)
	}
	c := r.conditionedWith("events", "1")
	c.fill(200)
	c.until("conntally_flows", func(v float64) bool { return v >= 200 })
	c.shell(c.Router, "conntrack -F >/dev/null 2>&1")
	c.holds(condition.EndsMissing, 1)
	c.judged(condition.EndsMissing)
	c.stop(c.p)
}

func (c *conditioned) fill(n int) {
	c.t.Helper()
	if err := c.Router.Fill(0, n); err != nil {
		c.t.Fatal(err)
	}
}

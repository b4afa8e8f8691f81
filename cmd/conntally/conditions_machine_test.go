package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/conntally/condition"
)

// TestFailingCollectorIsReportedUntilItListens: at first its port refuses.
func TestFailingCollectorIsReportedUntilItListens(t *testing.T) {
	t.Parallel()
	c := newConditioned(t, nil)
	c.holds(condition.CollectorFails, 1)
	c.judged(condition.CollectorFails)
	err := c.Router.Do(func() error {
		conn, err := net.ListenPacket("udp", "127.0.0.1:9")
		if err == nil {
			t.Cleanup(func() { conn.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c.ends(condition.CollectorFails)
	c.stop(c.p)
}

// TestRefusedConfigurationIsReportedUntilItIsValid: each time it is read again.
func TestRefusedConfigurationIsReportedUntilItIsValid(t *testing.T) {
	c := newConditioned(t, nil)
	c.reload("[flow]\nactive_timeout = 2\n")
	c.holds(condition.ConfigRefused, 1)
	c.judged(condition.ConfigRefused)
	c.reload("[flow]\nactive_timeout = \"2s\"\n")
	c.ends(condition.ConfigRefused)
	c.stop(c.p)
}

// TestKeysThatWaitForARestartAreReported until the change is undone.
func TestKeysThatWaitForARestartAreReported(t *testing.T) {
	c := newConditioned(t, nil)
	c.reload("[conntrack]\nreliable = true\n[flow]\nmax_flows = 1000\n")
	c.holds(condition.RestartNeeded, 1)
	c.judged(condition.RestartNeeded)
	c.reload("[flow]\nmax_flows = 1000\n")
	c.ends(condition.RestartNeeded)
	c.stop(c.p)
}

// reload has the program read another configuration.
func (c *conditioned) reload(text string) {
	c.t.Helper()
	c.config(text)
	if err := c.p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		c.t.Fatal(err)
	}
}

// TestFullDiskIsReportedUntilItHasRoom: the state file can't grow meanwhile.
func TestFullDiskIsReportedUntilItHasRoom(t *testing.T) {
	disk := t.TempDir()
	ballast := filepath.Join(disk, "ballast")
	t.Setenv("STATE_DIRECTORY", disk)
	c := newConditioned(t, func(*checkedRig) {
		if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
			t.Skip(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}, "--idle-timeout", "1s")
	if err := fillDisk(ballast); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	if err := c.Flood(c.ctx, lab.FloodFlow{Flows: 500, Size: 32}); err != nil {
		t.Fatal(err)
	}
	c.holds(condition.StateFailed, 1)
	c.judged(condition.StateFailed)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	c.ends(condition.StateFailed)
	c.stop(c.p)
}

// zeros is an endless Reader of zeros.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// fillDisk writes a file until there is no room.
func fillDisk(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(file, zeros{})
	return err
}

// TestFullKernelTableIsReported: nf_conntrack_max, which is the machine's, stays as it is.
func TestFullKernelTableIsReported(t *testing.T) {
	c := newConditioned(t, nil)
	text, err := c.Router.ReadSysctl(sysctlPrefix + "max")
	if err != nil {
		t.Fatal(err)
	}
	most, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	c.fill(most * 85 / 100)
	c.holds(condition.KernelTableFull, 1)
	c.judged(condition.KernelTableFull)
	c.shell(c.Router, "conntrack -F >/dev/null 2>&1")
	c.ends(condition.KernelTableFull)
	c.stop(c.p)
}

// TestBridgeNetfilterIsReported: from the second port of a bridge on.
func TestBridgeNetfilterIsReported(t *testing.T) {
	r := newCheckedRig(t)
	if _, err := os.Stat("/proc/sys/net/bridge"); err != nil {
		t.Skip("br_netfilter is not loaded")
	}
	addPort := func(name string) {
		r.shell(r.Router, "ip link add name "+name+" master b type veth peer name "+name+"2")
	}
	r.shell(r.Router,
		"sysctl -qw net.bridge.bridge-nf-call-iptables=1; ip link add name b type bridge")
	addPort("p")
	c := r.conditionedBy(`mount -t sysfs sysfs /sys && exec "$@"`)
	c.holds(condition.BridgeNetfilter, 0)
	addPort("q")
	c.holds(condition.BridgeNetfilter, 1)
	c.judged(condition.BridgeNetfilter)
	c.shell(c.Router, fixOf(condition.BridgeNetfilter))
	c.ends(condition.BridgeNetfilter)
	c.stop(c.p)
}

// TestSmallReceiveBufferIsReported: in a user namespace, where the kernel grants no more than
// net.core.rmem_max. A program that asks for no more than that has no such condition.
func TestSmallReceiveBufferIsReported(t *testing.T) {
	r := newCheckedRig(t)
	text, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	if err != nil {
		t.Skip(err)
	}
	granted, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int]float64{2 * granted: 1, granted: 0} {
		c := r.conditionedInUserNamespace(size)
		c.holds(condition.BufferSmall, want)
		if want == 1 {
			c.judged(condition.BufferSmall)
			fix := fmt.Sprintf("net.core.rmem_max=%d", size)
			if !strings.Contains(c.p.String(), fix) {
				t.Errorf("the log has no fix:\n%s", c.p)
			}
		}
		c.stop(c.p)
	}
}

// conditionedInUserNamespace starts the program with a network namespace of its own, too.
func (r *checkedRig) conditionedInUserNamespace(receiveBuffer int) *conditioned {
	r.t.Helper()
	// Root of that namespace can't search directories of other users, as go test's may be.
	program := filepath.Join(r.t.TempDir(), "conntally")
	if err := os.Link(os.Args[0], program); err != nil {
		r.t.Fatal(err)
	}
	args := []string{"-c", `"$0" link set lo up && exec "$@"`, need(r.t, "ip"), program, "run"}
	config := r.config(fmt.Sprintf("[conntrack]\nreceive_buffer = \"%d\"\n", receiveBuffer))
	cmd := exec.Command("sh", append(append(args, conditionedFlags()...), "--config", config)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{Size: 1}},
	}
	p := r.rig.run(cmd)
	p.says("reading conntrack")
	in, err := lab.NamespaceOf(cmd.Process.Pid)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { in.Close() })
	return &conditioned{r, p, in}
}

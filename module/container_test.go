package module

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/module/document"
)

// TestContainerAsDocumented runs each command of docs/container.md for a router: podman builds the
// image, and a container on the router's network exports what passes it.
func TestContainerAsDocumented(t *testing.T) {
	c := newContainerHost(t)
	commands, err := document.Texts("../docs/container.md", "sh")
	if err != nil || len(commands) != 4 {
		t.Fatalf("%d blocks of commands, %v", len(commands), err)
	}
	build, settings, start, restart := commands[0], commands[1], commands[2], commands[3]
	c.run(build)
	c.run(settings)
	arrived := c.collect()
	if out := c.run(start); strings.Contains(out, "fail ") || !strings.Contains(out, "COLLECTOR") {
		t.Errorf("%s", out)
	}
	c.tcp(70_000)
	arrived(70_000)
	c.run(restart)
	c.tcp(80_000)
	arrived(80_000)
	log := c.run("podman logs conntally 2>&1; podman rm --force conntally")
	for _, line := range []string{"configuration read again", "stopped", "restored from the state file"} {
		if !strings.Contains(log, line) {
			t.Errorf("the log lacks %q:\n%s", line, log)
		}
	}
	if strings.Contains(log, "read-only") {
		t.Errorf("the host's settings were not enough:\n%s", log)
	}
}

// containerHost is a router whose podman has a storage of its own.
type containerHost struct {
	*lab.Lab
	t   *testing.T
	ctx context.Context
	dir string // with the program and what the document names
	env []string
}

func newContainerHost(t *testing.T) *containerHost {
	t.Helper()
	t.Setenv("CGO_ENABLED", "0") // the image has nothing that a dynamic program would need
	podman, runc := labtest.Program(t, "podman"), labtest.Program(t, "runc")
	labtest.Program(t, "conmon")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	c := &containerHost{Lab: labtest.New(t, lab.Options{}), t: t, ctx: ctx, dir: t.TempDir()}
	c.write("containers.conf", fmt.Sprintf(`[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
static_dir = "%[1]s/static"
tmp_dir = "%[1]s/tmp"
volume_path = "%[1]s/volumes"
[engine.runtimes]
runc = [%[2]q]
`, c.dir, runc))
	c.write("storage.conf", fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = \"%[1]s/store\"\n"+
		"runroot = \"%[1]s/run\"\n", c.dir))
	c.write("conntally.toml", `[[collector]]
address = "127.0.0.1:2055"
[conntrack]
poll_interval = "1s"
[flow]
active_timeout = "2s"
idle_timeout = "2s"
`)
	c.write("module/container/Containerfile", read(t, "container/Containerfile"))
	c.write("bin/modprobe", "#!/bin/sh\n") // this kernel's modules are not a container's affair
	if err := os.Rename(labtest.Build(t, "conntally"), filepath.Join(c.dir, "conntally")); err != nil {
		t.Fatal(err)
	}
	c.env = append(os.Environ(), "CONTAINERS_CONF="+c.dir+"/containers.conf",
		"CONTAINERS_STORAGE_CONF="+c.dir+"/storage.conf",
		"PATH="+c.dir+"/bin:"+filepath.Dir(podman)+":"+filepath.Dir(runc)+":"+os.Getenv("PATH"))
	t.Cleanup(func() {
		cmd := c.command(context.Background(), "podman rm --force --all --time 0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		c.untilUnused()
	})
	return c
}

// untilUnused waits until no process names the directory: when a container has ended, its monitor
// starts a podman that cleans up, and nothing waits for that one.
func (c *containerHost) untilUnused() {
	c.t.Helper()
	for due := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		user := c.user()
		if user == "" {
			return
		}
		if time.Now().After(due) {
			c.t.Fatalf("still there: %s", user)
		}
	}
}

// user returns the command line of a process that names the directory, or "".
func (c *containerHost) user() string {
	c.t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, file := range files {
		line, _ := os.ReadFile(file) // it may have ended
		if bytes.Contains(line, []byte(c.dir)) {
			return string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
		}
	}
	return ""
}

func (c *containerHost) write(name, text string) {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o700)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// command is what the document says, with this test's configuration.
func (c *containerHost) command(ctx context.Context, text string) *exec.Cmd {
	text = strings.ReplaceAll(text, "--volume /etc/conntally.toml", "--volume "+c.dir+"/conntally.toml")
	cmd := exec.CommandContext(ctx, "sh", "-ec", text)
	cmd.Dir, cmd.Env = c.dir, c.env
	return cmd
}

// run runs commands in the router's network and returns what they print.
func (c *containerHost) run(text string) string {
	c.t.Helper()
	var out bytes.Buffer
	cmd := c.command(c.ctx, text)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := c.Router.Do(cmd.Run); err != nil {
		c.t.Fatalf("%s: %v\n%s", text, err, &out)
	}
	c.t.Logf("%s%s", text, &out)
	return out.String()
}

func (c *containerHost) tcp(down int) {
	c.t.Helper()
	_, err := c.TCP(c.ctx, lab.TCPFlow{Family: unix.AF_INET, Down: down, End: lab.FIN})
	if err != nil {
		c.t.Fatal(err)
	}
}

// collect listens where the configuration says. arrived waits for the flow of a download.
func (c *containerHost) collect() (arrived func(bytes int)) {
	c.t.Helper()
	var conn net.PacketConn
	err := c.Router.Do(func() (err error) {
		conn, err = net.ListenPacket("udp", "127.0.0.1:2055")
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	decoder, buffer := decode.New(decode.Options{}), make([]byte, 65536)
	return func(size int) {
		c.t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil { // or it would hang
			c.t.Fatal(err)
		}
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				c.t.Fatalf("a download of %d bytes: %v", size, err)
			}
			m, err := decoder.Decode(buffer[:n], from.(*net.UDPAddr).AddrPort())
			if err != nil {
				c.t.Fatal(err)
			}
			for i := range m.Flows {
				f := &m.Flows[i]
				if f.Src == netip.MustParseAddr(lab.ServerIPv4) && f.Bytes > uint64(size) &&
					f.Bytes < uint64(size)+10_000 {
					return
				}
			}
		}
	}
}

package host

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
)

const (
	clientMAC   = "02:00:00:00:00:0a"
	hostileMAC  = "02:00:00:00:00:0b"
	hostileName = `<b onclick="x()">tv`
)

// cable is a server and a client in namespaces of their own, and a directory for the
// server's files.
type cable struct {
	t              *testing.T
	server, client *lab.Namespace
	dir            string
}

func newCable(t *testing.T) *cable {
	t.Helper()
	c := &cable{t: t, dir: t.TempDir()}
	for _, ns := range []**lab.Namespace{&c.server, &c.client} {
		n := labtest.NewNamespace(t)
		for _, key := range []string{"default", "all"} { // addresses are usable at once
			if err := n.Sysctl("net/ipv6/conf/"+key+"/accept_dad", "0"); err != nil {
				t.Fatal(err)
			}
		}
		*ns = n
	}
	c.ip(c.server, "link add lan0 type veth peer name eth0 netns "+c.client.Path()+`
		link set lo up
		address add 192.0.2.1/24 dev lan0
		address add 2001:db8::1/64 dev lan0
		link set lan0 up`)
	c.ip(c.client, "link set eth0 address "+clientMAC+"\nlink set eth0 up")
	return c
}

func (c *cable) ip(ns *lab.Namespace, lines string) {
	c.t.Helper()
	if err := ns.IP(lines); err != nil {
		c.t.Fatal(err)
	}
}

// file writes a file into the directory, in which DIR is its path.
func (c *cable) file(name, content string) string {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	content = strings.ReplaceAll(content, "DIR", c.dir)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// command returns a program with its arguments, in which DIR is the directory. It is run
// from a copy: rules of AppArmor go by paths, and forbid a DHCP server other files than its own.
func (c *cable) command(line string) *exec.Cmd {
	c.t.Helper()
	args := strings.Fields(strings.ReplaceAll(line, "DIR", c.dir))
	program, err := exec.LookPath(args[0])
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/" + args[0])
	}
	if err != nil {
		c.t.Skipf("%s is not installed: make tools", args[0])
	}
	b, err := os.ReadFile(program)
	if err != nil {
		c.t.Fatal(err)
	}
	own := filepath.Join(c.dir, args[0])
	if err := os.WriteFile(own, b, 0o755); err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(own, args[1:]...)
	cmd.Dir = c.dir
	cmd.Env = []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "KEA_PIDFILE_DIR=" + c.dir, "KEA_LOCKFILE_DIR=" +
			c.dir,
		"KEA_DHCP_DATA_DIR=" + c.dir, "KEA_LOG_FILE_DIR=" + c.dir,
	}
	return cmd
}

// start runs a program for as long as the test.
func (c *cable) start(ns *lab.Namespace, line string) {
	c.t.Helper()
	cmd := c.command(line)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := ns.Start(cmd); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if c.t.Failed() {
			c.t.Logf("%s: %s", line, out.String())
		}
	})
}

// ask has a client get a lease of IPv4, by the name given.
func (c *cable) ask(name string) {
	c.t.Helper()
	line := fmt.Sprintf("busybox udhcpc -i eth0 -f -q -n -t 30 -T 1 -A 1 -s /bin/true -x 0x0c:%x",
		name)
	c.run(c.client, line)
}

// ask6 has a client get a lease of IPv6, and returns its address.
func (c *cable) ask6(name string) string {
	c.t.Helper()
	c.file("dhclient.conf", "timeout 20;\nsend fqdn.fqdn \""+name+"\";\n")
	leases := c.file("dhclient.leases", "")
	c.await("the client has no link-local address", func() bool {
		var addrs []net.Addr
		err := c.client.Do(func() error {
			eth0, err := net.InterfaceByName("eth0")
			if err == nil {
				addrs, err = eth0.Addrs()
			}
			return err
		})
		return err == nil && len(addrs) > 0
	})
	c.start(c.client,
		"dhclient -6 -v -d -sf /bin/true -cf DIR/dhclient.conf -lf DIR/dhclient.leases -pf "+
			"DIR/dhclient.pid eth0")
	var addr string
	c.await("the client has no lease", func() bool {
		b, err := os.ReadFile(leases)
		_, after, found := strings.Cut(string(b), "iaaddr ")
		addr, _, _ = strings.Cut(after, " ")
		return err == nil && found
	})
	return addr
}

func (c *cable) run(ns *lab.Namespace, line string) {
	c.t.Helper()
	cmd := c.command(line)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := ns.Do(cmd.Run); err != nil {
		c.t.Fatalf("%s: %v: %s", line, err, out.String())
	}
}

// named returns a device's name once a server has written its lease, which holds a text.
func (c *cable) named(n *Names, file, text, device string) (name string) {
	c.t.Helper()
	short := strings.NewReplacer("02:", "2:", "00:", "0:", "0a", "a", "0b",
		"b").Replace(text) // as odhcpd writes it
	c.await(text+" isn't in "+file, func() bool {
		b, err := os.ReadFile(filepath.Join(c.dir, file))
		return err == nil && (strings.Contains(string(b), text) || strings.Contains(string(b),
			short))
	})
	n.Read()
	if a, err := netip.ParseAddr(device); err == nil {
		return n.Name(MAC{}, []netip.Addr{a})
	}
	mac, err := ParseMAC(device)
	if err != nil {
		c.t.Fatal(err)
	}
	return n.Name(mac, nil)
}

func (c *cable) await(otherwise string, holds func() bool) {
	c.t.Helper()
	for begin := time.Now(); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			c.t.Fatal(otherwise)
		}
	}
}

// server is a DHCP server, its configuration and where it keeps its leases.
type server struct{ name, config, run, leases string }

// TestNamesOfRealServers: what a client calls itself when it gets a lease from a real
// server is its name.
func TestNamesOfRealServers(t *testing.T) {
	for _, s := range []struct {
		server
		hostile string // what becomes of hostileName
	}{
		{server{
			"dnsmasq", "",
			"dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --interface=lan0 " +
				"--user=root --pid-file= --no-ping " +
				"--dhcp-authoritative --dhcp-range=192.0.2.10,192.0.2.20,1h " +
				"--dhcp-leasefile=DIR/leases", "leases",
		}, ""},
		{server{
			"Kea", `{"Dhcp4":{"interfaces-config":{"interfaces":["lan0"]},"valid-lifetime":3600,` +
				`"lease-database":{"type":"memfile","name":"DIR/leases"},` +
				`"subnet4":[{"id":1,"subnet":"192.0.2.0/24",` +
				`"pools":[{"pool":"192.0.2.10-192.0.2.20"}]}]}}`,
			"kea-dhcp4 -c DIR/config", "leases",
		}, "bonclickxtv"},
		{server{
			"ISC dhcpd",
			"authoritative;\nsubnet 192.0.2.0 netmask 255.255.255.0 {\n" +
				"  range 192.0.2.10 192.0.2.20;\n}\n",
			"dhcpd -4 -f -cf DIR/config -lf DIR/leases -pf DIR/pid lan0", "leases",
		}, "" /* it refuses such names */},
		{server{ // which Debian has no package of
			"odhcpd",
			"config odhcpd 'odhcpd'\n option maindhcp '1'\n option leasefile 'DIR/leases'\n" +
				" option hostsdir 'DIR/hosts'\n" +
				"config dhcp 'lan'\n option ifname 'lan0'\n option dhcpv4 'server'\n" +
				" option start '10'\n option limit '10'\n",
			"odhcpd -f -c DIR", "leases",
		}, ""},
	} {
		t.Run(s.name, func(t *testing.T) {
			c := newCable(t)
			c.file("config", s.config)
			c.file("dhcp", s.config) // odhcpd's
			c.file("leases", "")
			c.start(c.server, s.run)
			n := NewNames(NamesOptions{Leases: []string{filepath.Join(c.dir, s.leases)}})
			c.ask("laptop")
			if got := c.named(n, s.leases, clientMAC, clientMAC); got != "laptop" {
				t.Errorf("%s is %q", clientMAC, got)
			}
			c.ip(c.client,
				"link set eth0 down\nlink set eth0 address "+hostileMAC+"\nlink set eth0 up")
			c.ask(hostileName)
			if got := c.named(n, s.leases, hostileMAC, hostileMAC); got != s.hostile {
				t.Errorf("%s is %q, want %q", hostileMAC, got, s.hostile)
			}
			if p := n.Problems(); len(p) > 0 {
				t.Error(p)
			}
		})
	}
}

// TestNamesOutliveKeasCleanUp: once Kea's own clean-up has moved the leases to another file, a
// new process knows their names.
func TestNamesOutliveKeasCleanUp(t *testing.T) {
	c := newCable(t)
	c.file("config", `{"Dhcp4":{"interfaces-config":{"interfaces":["lan0"]},"valid-lifetime":3600,`+
		`"lease-database":{"type":"memfile","name":"DIR/leases","lfc-interval":1},`+
		`"subnet4":[{"id":1,"subnet":"192.0.2.0/24","pools":[{"pool":"192.0.2.10-192.0.2.20"}]}]}}`)
	c.start(c.server, "kea-dhcp4 -c DIR/config")
	c.ask("laptop")
	leases := filepath.Join(c.dir, "leases")
	c.await("no clean-up", func() bool {
		b, err := os.ReadFile(leases + ".2")
		return err == nil && strings.Contains(string(b), clientMAC)
	})
	b, err := os.ReadFile(leases)
	if err != nil || strings.Contains(string(b), clientMAC) {
		t.Fatalf("%v: the lease is still in the main file: %s", err, b)
	}
	n := NewNames(NamesOptions{Leases: []string{leases}})
	if got := c.named(n, "leases.2", clientMAC, clientMAC); got != "laptop" ||
		len(n.Problems()) > 0 {
		t.Errorf("%s is %q, %v", clientMAC, got, n.Problems())
	}
}

// TestNamesOfRealServers6 is the same for DHCPv6.
func TestNamesOfRealServers6(t *testing.T) {
	for _, s := range []server{
		{
			"dnsmasq", "",
			"dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --interface=lan0 " +
				"--user=root --pid-file= --no-ping " +
				"--dhcp-authoritative --dhcp-range=2001:db8::10,2001:db8::20,1h " +
				"--dhcp-leasefile=DIR/leases", "leases",
		},
		{
			"Kea",
			`{"Dhcp6":{"server-id":{"type":"EN","persist":false},` +
				`"interfaces-config":{"interfaces":["lan0"]},"valid-lifetime":3600,` +
				`"lease-database":{"type":"memfile","name":"DIR/leases"},` +
				`"subnet6":[{"id":1,"interface":"lan0","subnet":"2001:db8::/64",` +
				`"pools":[{"pool":"2001:db8::10-2001:db8::20"}]}]}}`,
			"kea-dhcp6 -c DIR/config", "leases",
		},
		{
			"ISC dhcpd",
			"on commit { set ddns-fwd-name = option fqdn.fqdn; }\nsubnet6 2001:db8::/64 {\n" +
				"  range6 2001:db8::10 2001:db8::20;\n}\n",
			"dhcpd -6 -f -cf DIR/config -lf DIR/leases -pf DIR/pid lan0", "leases",
		},
		{
			"odhcpd", "config odhcpd 'odhcpd'\n option leasefile 'DIR/leases'\n" +
				"config dhcp 'lan'\n option ifname 'lan0'\n option dhcpv6 'server'\n",
			"odhcpd -f -c DIR", "leases",
		},
	} {
		t.Run(s.name, func(t *testing.T) {
			c := newCable(t)
			c.file("config", s.config)
			c.file("dhcp", s.config) // odhcpd's
			c.file("leases", "")
			c.start(c.server, s.run)
			n := NewNames(NamesOptions{Leases: []string{filepath.Join(c.dir, s.leases)}})
			addr := c.ask6("laptop.example.org")
			if got := c.named(n, s.leases, addr, addr); got != "laptop" {
				t.Errorf("%s is %q", addr, got)
			}
			if p := n.Problems(); len(p) > 0 {
				t.Error(p)
			}
		})
	}
}

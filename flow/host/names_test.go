package host

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/flow/host/lease"
)

const (
	dnsmasqFile = "/var/lib/misc/dnsmasq.leases"
	macA        = "02:00:00:00:00:0a"
	macB        = "02:00:00:00:00:0b"
)

// lent is a line of dnsmasq's, good until the year 2033.
func lent(mac, addr, name string) string {
	return "2000000000 " + mac + " " + addr + " " + name + " *\n"
}

// TestAutoFindsEachServer: each kind of file is found where its server keeps it.
func TestAutoFindsEachServer(t *testing.T) {
	const kea4 = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev," +
		"hostname,state,user_context,pool_id\n"
	const networkdLeases = `{"Leases":[{"ClientId":[1,2,0,0,0,0,10],"Address":[192,0,2,10],` +
		`"Hostname":"box"}]}`
	const kea6 = "address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid," +
		"prefix_len,fqdn_fwd,fqdn_rev,hostname,hwaddr,state\n"
	files := map[string]string{
		dnsmasqFile:                   lent(macA, "192.0.2.10", "box"),
		"/var/lib/dnsmasq/lan.leases": lent(macA, "192.0.2.10", "box"),
		"/etc/pihole/dhcp.leases":     lent(macA, "192.0.2.10", "box"),
		"/tmp/dhcp.leases":            lent(macA, "192.0.2.10", "box"),
		"/var/lib/kea/kea-leases4.csv": kea4 + "192.0.2.10," + macA +
			",,3600,2000000000,1,0,0,box,0,,0\n",
		"/var/lib/kea/dhcp4.leases": kea4 + "192.0.2.10," + macA +
			",,3600,2000000000,1,0,0,box,0,,0\n",
		"/var/lib/kea/kea-leases4.csv.2": kea4 + "192.0.2.10," + macA +
			",,3600,2000000000,1,0,0,box,0,,0\n",
		"/var/lib/kea/kea-leases6.csv": kea6 +
			"2001:db8::10,00:01,3600,2000000000,1,1800,0,1,128,0,0,box," + macA + ",0\n",
		"/var/lib/dhcp/dhcpd.leases": "lease 192.0.2.10 {\n" +
			" hardware ethernet " + macA + ";\n client-hostname \"box\";\n}\n",
		"/var/lib/dhcp/dhcpd6.leases": "ia-na \"x\" {\n" +
			" iaaddr 2001:db8::10 {\n set ddns-fwd-name = \"box.lan\";\n }\n}\n",
		"/var/lib/dhcpd/dhcpd.leases": "lease 192.0.2.10 {\n" +
			" hardware ethernet " + macA + ";\n client-hostname \"box\";\n}\n",
		"/tmp/odhcpd.leases": "# br-lan 02000000000a ipv4 box " +
			"2000000000 c000020a 32 192.0.2.10/32\n",
		"/tmp/hosts/odhcpd":                               "192.0.2.10\tbox.lan\tbox\n",
		"/tmp/hosts/odhcpd.hosts.br-lan":                  "2001:db8::10\tbox.lan\tbox\n",
		"/etc/ethers":                                     macA + " box\n",
		"/etc/hosts":                                      "192.0.2.10 box.lan box\n",
		"/run/systemd/netif/dhcp-server-lease/lan0":       networkdLeases,
		"/var/lib/systemd/network/dhcp-server-lease/lan0": networkdLeases,
	}
	for path, content := range files {
		t.Run(path, func(t *testing.T) {
			b := newBox(t, "auto")
			if strings.HasPrefix(path, "/tmp/") {
				b.write("/etc/openwrt_release", "")
			}
			b.read()
			b.want(macA+" 192.0.2.10 2001:db8::10", "")
			b.write(path, content)
			b.read()
			b.want(macA+" 192.0.2.10 2001:db8::10", "box")
			b.wantProblems()
		})
	}
}

// TestNobodyElseNamesDevices: on a system that isn't OpenWrt, anybody may write to /tmp.
func TestNobodyElseNamesDevices(t *testing.T) {
	b := newBox(t, "auto")
	b.write("/tmp/dhcp.leases", lent(macA, "192.0.2.10", "evil"))
	b.read()
	b.want(macA, "")
}

func TestBestNameWins(t *testing.T) {
	b := newBox(t, "auto")
	b.write("/etc/hosts",
		"127.0.0.1 localhost\n::1 localhost\n0.0.0.0 ads.example\n"+
			"192.0.2.10 by-hosts.lan # here\n192.0.2.11 other\n192.0.2.12 pi\n")
	b.read()
	b.want(macA+" 192.0.2.10", "by-hosts")
	b.want("192.0.2.10", "by-hosts")
	b.want("::ffff:192.0.2.10", "by-hosts")
	b.want("127.0.0.1", "")
	b.want("0.0.0.0", "")
	b.want(macA, "")
	b.write("/etc/ethers", "# servers\n2:0:0:0:0:a by-ethers\n"+macB+" 192.0.2.12\n")
	b.read()
	b.want(macA+" 192.0.2.10", "by-ethers")
	b.want(macB, "pi")
	b.write(dnsmasqFile, lent(macA, "192.0.2.10", "by-lease"))
	b.read()
	b.want(macA, "by-lease")
	b.want("192.0.2.10", "by-lease")
	b.want("02:00:00:00:00:0c 192.0.2.10", "by-hosts") // the lease is another device's
	b.wantProblems()
}

// TestNamesOutliveTheirLeases: a device that sleeps keeps its name; an address that is lent to
// another device has that device's name.
func TestNamesOutliveTheirLeases(t *testing.T) {
	b := newBox(t, "auto")
	b.write(dnsmasqFile, lent(macA, "192.0.2.10",
		"laptop")+"2000000000 1 2001:db8::10 laptop 00:01\n")
	b.read()
	b.write(dnsmasqFile, "")
	b.read()
	b.want(macA, "laptop")
	b.want("192.0.2.10", "laptop")
	b.want("2001:db8::10", "laptop")
	b.write(dnsmasqFile, lent(macB, "192.0.2.10", "*"))
	b.read()
	b.want(macA, "laptop")
	b.want("192.0.2.10", "")
	b.want(macB+" 192.0.2.10", "")
	b.write(dnsmasqFile, lent(macB, "192.0.2.10", "tv")+lent(macA, "192.0.2.11", "notebook"))
	b.read()
	b.want(macA, "notebook")
	b.want(macB, "tv")
	b.want("192.0.2.10", "tv")
	b.remove(dnsmasqFile)
	b.read()
	b.want(macA, "notebook")
	b.wantProblems()
}

// TestPresentLeasesCountMore: of two leases, one that has ended gives way, whatever their order.
func TestPresentLeasesCountMore(t *testing.T) {
	over, lives := "1700000000 "+macA+" 192.0.2.10 old *\n", lent(macA, "192.0.2.11", "new")
	for _, content := range []string{over + lives, lives + over} {
		b := newBox(t, "auto")
		b.write(dnsmasqFile, over)
		b.read()
		b.want(macA, "old")
		b.write(dnsmasqFile, content)
		b.read()
		b.want(macA, "new")
	}
}

// TestHalfWrittenFilesLoseNothing: whatever a file looks like while it is written, names stay,
// and nothing
// is reported before it has looked so for long.
func TestHalfWrittenFilesLoseNothing(t *testing.T) {
	b := newBox(t, "auto")
	whole := lent(macA, "192.0.2.10", "laptop") + lent(macB, "192.0.2.11", "tv")
	b.write(dnsmasqFile, whole)
	b.read()
	for size := range len(whole) {
		b.write(dnsmasqFile, whole[:size])
		b.names.Read()
		b.want(macA, "laptop")
		b.want(macB, "tv")
		b.wantProblems()
		b.now = b.now.Add(time.Second)
	}
	b.read()
	b.wantProblems(dnsmasqFile + ": it ends in the middle of a lease")
	b.write(dnsmasqFile, whole)
	b.read()
	b.wantProblems()
}

// TestReplacedStaticFilesLoseNothing: /etc/hosts and /etc/ethers may be empty or missing for a
// moment.
func TestReplacedStaticFilesLoseNothing(t *testing.T) {
	b := newBox(t)
	lines := map[string]string{"/etc/ethers": macA + " laptop\n", "/etc/hosts": "192.0.2.11 tv\n"}
	for path, line := range lines {
		b.write(path, line)
	}
	b.read()
	for path := range lines {
		b.write(path, "")
	}
	b.names.Read()
	b.want(macA, "laptop")
	b.want("192.0.2.11", "tv")
	for path := range lines {
		b.remove(path)
	}
	b.names.Read()
	b.want(macA, "laptop")
	b.want("192.0.2.11", "tv")
	b.names.Read() // they are really gone
	b.want(macA, "")
	b.want("192.0.2.11", "")
}

// TestChangeOfSameSizeIsNoticed: a file that was read just after it was written is read again.
func TestChangeOfSameSizeIsNoticed(t *testing.T) {
	b := newBox(t, "auto")
	b.write(dnsmasqFile, lent(macA, "192.0.2.10", "one"))
	b.write("/etc/ethers", macB+" one\n")
	b.names.Read()
	for path, content := range map[string]string{dnsmasqFile: lent(macA, "192.0.2.10", "two"),
		"/etc/ethers": macB + " two\n"} {
		if err := os.WriteFile(b.root+path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(b.root+path, b.now, b.now); err != nil {
			t.Fatal(err)
		}
	}
	b.read()
	b.want(macA, "two")
	b.want(macB, "two")
}

// TestKeaCleanUpLosesNothing goes through the steps of a clean-up.
func TestKeaCleanUpLosesNothing(t *testing.T) {
	const file = "/var/lib/kea/kea-leases4.csv"
	const header = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev," +
		"hostname,state,user_context\n"
	row := func(mac, addr, name string) string {
		return addr + "," + mac + ",,3600,2000000000,1,0,0," + name + ",0,\n"
	}
	b := newBox(t, "auto")
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(b.root+file+from, b.root+file+to); err != nil {
			t.Fatal(err)
		}
	}
	steps := []func(){
		func() {
			b.write(file+".2", header+row(macA, "192.0.2.10", "old")+row(macB, "192.0.2.11", "tv"))
			b.write(file, header+row(macA, "192.0.2.10", "laptop"))
		},
		func() { rename("", ".1") },
		func() { b.write(file, "") },
		func() { b.write(file, header) },
		func() {
			b.write(file+".completed", header+row(macA, "192.0.2.10", "laptop")+row(macB,
				"192.0.2.11", "tv"))
		},
		func() { b.remove(file + ".1") },
		func() { b.remove(file + ".2") },
		func() { rename(".completed", ".2") },
	}
	for i, step := range steps {
		step()
		b.read()
		for device, name := range map[string]string{macA: "laptop", macB: "tv",
			"192.0.2.10": "laptop", "192.0.2.11": "tv"} {
			if b.want(device, name); t.Failed() {
				t.Fatalf("after step %d", i)
			}
		}
		b.wantProblems()
	}
}

func TestNamedFilesAreRecognized(t *testing.T) {
	dir := t.TempDir()
	b := newBox(t, dir+"/dhcp", dir+"/networkd", dir+"/missing")
	for path, content := range map[string]string{
		"/dhcp": lent(macA, "192.0.2.10", "laptop"),
		"/networkd/lan0": `{"Leases":[{"ClientId":[1,2,0,0,0,0,11],"Address":[192,0,2,11],` +
			`"Hostname":"tv"}]}`,
	} {
		if err := os.MkdirAll(filepath.Dir(dir+path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.read()
	b.want(macA, "laptop")
	b.want(macB, "tv")
	b.wantProblems(dir + "/missing: no such file or directory")
}

// TestInventedDevicesAreBounded: neither a file of invented leases nor a stream of new ones
// takes more memory than allowed, and a real device keeps its name.
func TestInventedDevicesAreBounded(t *testing.T) {
	b := newBox(t, "auto")
	invented := 0
	generation := func(n int) string {
		var s strings.Builder
		for range n {
			invented++
			fmt.Fprintf(&s, "2000000000 02:00:01:%02x:%02x:%02x 10.%d.%d.%d %s-%d *\n",
				invented>>16, invented>>8&255, invented&255,
				invented>>16, invented>>8&255, invented&255, strings.Repeat("x", 60), invented)
		}
		return s.String()
	}
	laptop := lent(macA, "192.0.2.10", "laptop")
	b.write(dnsmasqFile, laptop+generation(100_000))
	b.read()
	b.want(macA, "laptop")
	if macs, addrs := len(b.names.book.byMAC), len(b.names.book.byAddr); macs > lease.Most ||
		addrs > lease.Most {
		t.Errorf("%d MACs, %d addresses", macs, addrs)
	}
	for range 20 {
		b.write(dnsmasqFile, laptop+generation(5000))
		b.read()
	}
	if macs, addrs := len(b.names.book.byMAC), len(b.names.book.byAddr); macs > 5001+mostPast ||
		addrs > 5001+mostPast {
		t.Errorf("%d MACs, %d addresses", macs, addrs)
	}
	b.want(macA, "laptop")
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 16<<20 {
		t.Errorf("%d MiB in use", m.HeapAlloc>>20)
	}
}

func TestLookUpOfNamesAllocatesNothing(t *testing.T) {
	b := newBox(t, "auto")
	b.write(dnsmasqFile, lent(macA, "192.0.2.10", "laptop"))
	b.read()
	addrs := []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.10")}
	if n := testing.AllocsPerRun(100, func() { b.names.Name(MAC{}, addrs) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

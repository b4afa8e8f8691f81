package host

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// TestHiddenStateIsAProblem: systemd hides the state of another service with a user of its own,
// as Kea has
// on NixOS.
func TestHiddenStateIsAProblem(t *testing.T) {
	b := newBox(t, "auto")
	if err := os.MkdirAll(b.root+"/var/lib", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("private/kea", b.root+"/var/lib/kea"); err != nil {
		t.Fatal(err)
	}
	b.read()
	b.wantProblems("/var/lib/kea: it leads to a directory that is not visible to this service")
	if p := b.names.Problems(); !strings.Contains(p[0].Fix, "BindReadOnlyPaths=") {
		t.Errorf("%+v", p)
	}
}

func TestWhatIsNoFileIsAProblem(t *testing.T) {
	b := newBox(t, "/dev/zero", "auto")
	b.write(dnsmasqFile, "what is this?\n")
	b.write("/etc/ethers", "x\ny\n")
	b.write("/etc/hosts", strings.Repeat("\n", largest+1))
	b.read()
	b.wantProblems("/dev/zero is a device, not a regular file",
		dnsmasqFile+": it is of no DHCP server that is known here",
		"/etc/hosts is larger than 16384 KiB",
		"/etc/ethers: line 1 begins with no Ethernet address and a name; there are 2 of that kind")
}

// TestForbiddenFilesHaveAFix: those that another user alone may read, themselves or by their
// directory,
// take a capability. What was read before stays, and a file is read as soon as that is allowed.
func TestForbiddenFilesHaveAFix(t *testing.T) {
	b := newBox(t, "auto")
	b.write("/etc/ethers", macB+" tv\n")
	b.write("/run/systemd/netif/dhcp-server-lease/lan0", `{"Leases":[]}`)
	b.write("/var/lib/kea/kea-leases4.csv",
		"address,hwaddr,expire,hostname\n192.0.2.10,"+macA+",2000000000,laptop\n")
	b.read()
	chmod := func(path string, mode os.FileMode) {
		if err := os.Chmod(b.root+path, mode); err != nil {
			t.Fatal(err)
		}
	}
	chmod("/..", 0o755) // of the test's directories, which are private
	chmod("/etc/ethers", 0)
	chmod("/var/lib/kea", 0)
	chmod("/run/systemd/netif/dhcp-server-lease", 0o711)
	withoutRights(t, b.read)
	b.want(macA, "laptop")
	b.want(macB, "tv")
	b.wantProblems("/var/lib/kea: permission denied",
		"/run/systemd/netif/dhcp-server-lease: permission denied", "/etc/ethers: permission denied")
	for _, p := range b.names.Problems() {
		if !strings.Contains(p.Fix, "CAP_DAC_READ_SEARCH") || !errors.Is(p.Err, fs.ErrPermission) {
			t.Errorf("%+v", p)
		}
	}
	chmod("/etc/ethers", 0o644)
	chmod("/var/lib/kea", 0o755)
	chmod("/run/systemd/netif/dhcp-server-lease", 0o755)
	withoutRights(t, b.read)
	b.wantProblems()
}

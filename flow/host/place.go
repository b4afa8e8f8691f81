package host

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// autoPlaces returns where DHCP servers keep their leases, as patterns. The files of
// directories are those of systemd-networkd, one per interface.
func autoPlaces(root string) []string {
	places := []string{
		"/var/lib/misc/dnsmasq.leases",
		"/var/lib/dnsmasq/*.leases",
		"/etc/pihole/dhcp.leases",
		"/var/lib/kea/kea-leases4.csv",
		"/var/lib/kea/kea-leases6.csv",
		"/var/lib/kea/*.csv", // whatever else they are called
		"/var/lib/kea/*.leases",
		"/var/lib/dhcp/dhcpd.leases",
		"/var/lib/dhcp/dhcpd6.leases",
		"/var/lib/dhcpd/dhcpd.leases", // Fedora
		"/var/lib/dhcpd/dhcpd6.leases",
		"/var/lib/systemd/network/dhcp-server-lease/*",
		"/run/systemd/netif/dhcp-server-lease/*",
	}
	// On other systems, anybody may write to /tmp.
	if _, err := os.Stat(root + "/etc/openwrt_release"); err == nil {
		places = append(places, "/tmp/dhcp.leases", "/tmp/odhcpd.leases", "/tmp/hosts/odhcpd*")
	}
	for i := range places {
		places[i] = root + places[i]
	}
	return places
}

// mostFiles bounds the files of leases.
const mostFiles = 256

// findLeases returns the files at the configured places: those that exist, even if they can't
// be seen, and those that were configured by name.
func (n *Names) findLeases() (files []leaseFile) {
	seen := map[string]bool{}
	add := func(path string, named bool) {
		if seen[path] || len(files) == mostFiles {
			return
		}
		seen[path] = true
		if f := newLeaseFile(path); named || !f.missing() || f.hidden() {
			files = append(files, f)
		}
	}
	for _, place := range n.options.Leases {
		if place == "auto" {
			for _, pattern := range autoPlaces(n.root) {
				expand(pattern, func(path string) { add(path, false) })
			}
		} else if info, err := os.Stat(place); err == nil && info.IsDir() {
			expand(filepath.Join(place, "*"), func(path string) { add(path, true) })
		} else {
			add(place, true)
		}
	}
	return files
}

// expand calls add with each file that matches a pattern, or with their directory if that
// can't be read.
func expand(pattern string, add func(path string)) {
	dir, last := filepath.Split(pattern)
	if !strings.Contains(last, "*") {
		add(pattern)
		return
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		add(filepath.Clean(dir))
		return
	}
	for _, e := range entries {
		// Hidden files are still being written, and renamed when they are complete.
		ok, _ := filepath.Match(last, e.Name())
		if ok && e.Type() != fs.ModeDir && e.Name()[0] != '.' {
			add(filepath.Join(dir, e.Name()))
		}
	}
}

package host

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
)

const (
	ieeeList = "OUI/MA-L\t\t\tOrganization\ncompany_id\t\t\tOrganization\n\n" +
		"00-00-0C   (hex)\t\tCisco Systems, Inc\n00000C     (base 16)\t\tCisco Systems, Inc\n" +
		"\t\t\t\t170 WEST TASMAN DRIVE\n\n70-B3-D5   (hex)\t\tIEEE Registration Authority\n" +
		"70B3D5     (base 16)\t\tIEEE Registration Authority\n"
	nmapList = "# comment\n00000C Cisco Systems\n70B3D5 IEEE Registration Authority\n" +
		"70B3D5A Seven\n70B3D5123 Small Maker\n"
	manufList = "# comment\n\n" +
		"00:00:0C               \tCisco               \tCisco Systems, Inc\n" +
		"70:B3:D5\tIEEERegi\tIEEE Registration Authority\n" +
		"70:B3:D5:12:30:00/36\tSmall\tSmall Maker\n00:00:0C:07:AC:00/40\tHSRP\tAll\n"
	systemdList = "# comment\n\nOUI:00000C*\n ID_OUI_FROM_DATABASE=Cisco Systems, Inc\n\n" +
		"OUI:70B3D5123*\n ID_OUI_FROM_DATABASE=Small Maker\n"
)

func TestVendorsOfEachList(t *testing.T) {
	cisco, small, other := MAC{0, 0, 0xc, 1, 2, 3}, MAC{0x70, 0xb3, 0xd5, 0x12, 0x3f, 0xff},
		MAC{0x70, 0xb3, 0xd5, 0x55, 0, 0}
	for _, c := range []struct{ path, list, cisco, small string }{
		{"/usr/share/ieee-data/oui.txt", ieeeList, "Cisco Systems Inc", ""},
		{"/usr/share/hwdata/oui.txt", ieeeList, "Cisco Systems Inc", ""},
		{"/usr/share/nmap/nmap-mac-prefixes", nmapList, "Cisco Systems", "Small Maker"},
		{"/usr/share/wireshark/manuf", manufList, "Cisco Systems Inc", "Small Maker"},
		{"/usr/lib/udev/hwdb.d/20-OUI.hwdb", systemdList, "Cisco Systems Inc", "Small Maker"},
	} {
		t.Run(c.path, func(t *testing.T) {
			b := newBox(t)
			for mac, want := range map[MAC]string{cisco: "", small: "", other: ""} {
				if got := b.names.Vendor(mac); got != want {
					t.Errorf("without a list, %s is of %q", mac, got)
				}
			}
			b.write(c.path, c.list)
			b.names.Vendor(MAC{1: 1}) // whatever is new has the list read
			local, group := cisco, cisco
			local[0], group[0] = 2, 1
			for mac, want := range map[MAC]string{cisco: c.cisco, small: c.small, other: "",
				local: "", group: "", {}: ""} {
				if got := b.names.Vendor(mac); got != want {
					t.Errorf("%s is of %q, want %q", mac, got, want)
				}
			}
		})
	}
}

// TestVendorsAreReadOnceAMinute: while Follow runs, Vendor itself reads nothing; invented
// prefixes don't have the list read more often, and don't fill the memory.
func TestVendorsAreReadOnceAMinute(t *testing.T) {
	b := newBox(t)
	b.write("/usr/share/misc/oui.txt", ieeeList)
	v := b.names.vendors
	v.deferred.Store(true)
	cisco := MAC{0, 0, 0xc, 1, 2, 3}
	now := func() int64 { return b.clock().Mono }
	if got := b.names.Vendor(cisco); got != "" {
		t.Errorf("it is of %q at once", got)
	}
	v.read(now())
	if got := b.names.Vendor(cisco); got != "Cisco Systems Inc" {
		t.Errorf("it is of %q", got)
	}
	for i := range 100_000 {
		b.names.Vendor(MAC{4, byte(i >> 16), byte(i >> 8), byte(i), 0, 0})
	}
	v.read(now())
	if len(v.known) != 1 {
		t.Errorf("it was read again, for %d", len(v.known))
	}
	b.now = b.now.Add(vendorPause)
	v.read(now())
	if len(v.known) > mostVendors || len(v.wanted) > mostVendors {
		t.Errorf("%d known, %d wanted", len(v.known), len(v.wanted))
	}
}

// TestFollowReadsAtOnce: Follow has names at once, and returns when its context is done.
func TestFollowReadsAtOnce(t *testing.T) {
	b := newBox(t, "auto")
	b.write(dnsmasqFile, lent(macA, "192.0.2.10", "laptop"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.names.Follow(ctx)
	b.want(macA, "laptop")
}

// TestAnyGoroutineMayAskForNames is for the race detector.
func TestAnyGoroutineMayAskForNames(t *testing.T) {
	b := newBox(t, "auto")
	b.write("/usr/share/misc/oui.txt", ieeeList)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { b.names.Follow(ctx) })
	for range 4 {
		all.Go(func() {
			for i := range byte(100) {
				b.names.Name(MAC{2, 0, 0, 0, 0, i}, nil)
				b.names.Vendor(MAC{0, 0, i})
				b.names.Problems()
			}
		})
	}
	for i := range 20 {
		b.write(dnsmasqFile, lent(macA, "192.0.2.10", fmt.Sprint("laptop-", i)))
		b.write("/etc/ethers", macB+fmt.Sprint(" tv-", i)+"\n")
		b.names.Read()
	}
	cancel()
	all.Wait()
	b.want(macA, "laptop-19")
}

func TestOversizedVendorLists(t *testing.T) {
	wanted := map[block]bool{blockOf(MAC{0, 0, 0xc}): true}
	list := strings.Repeat("x", 1<<20) + "\n" + nmapList + "00000C" + strings.Repeat(" ", 1<<20) +
		"x"
	got := searchVendors(strings.NewReader(list), wanted)[blockOf(MAC{0, 0, 0xc})]
	if got != "Cisco Systems" {
		t.Errorf("got %q", got)
	}
}

func FuzzVendors(f *testing.F) {
	for _, list := range []string{ieeeList, nmapList, manufList, systemdList} {
		f.Add(list)
	}
	wanted := map[block]bool{blockOf(MAC{0, 0, 0xc, 1, 2, 3}): true, blockOf(MAC{0x70, 0xb3, 0xd5,
		0x12, 0x3f, 0xff}): true}
	f.Fuzz(func(t *testing.T, list string) {
		for b := range searchVendors(strings.NewReader(list), wanted) {
			if !wanted[b] {
				t.Errorf("%x wasn't asked for", b)
			}
		}
	})
}

func FuzzHosts(f *testing.F) {
	f.Add([]byte("192.0.2.1 a b # c\n::1 localhost\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		names, _ := parseHosts(b)
		for a := range names {
			if !a.IsValid() || a.Zone() != "" || a.IsLoopback() {
				t.Error(a)
			}
		}
	})
}

func FuzzEthers(f *testing.F) {
	f.Add([]byte("02:00:00:00:00:01 a\n2:0:0:0:0:2 192.0.2.1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		names, _ := parseEthers(b)
		for mac, e := range names {
			if e.name != "" && e.addr.IsValid() {
				t.Error(mac, e)
			}
		}
	})
}

// BenchmarkVendors looks one vendor up in a list of the usual size.
func BenchmarkVendors(b *testing.B) {
	var list strings.Builder
	for i := range 38_000 {
		fmt.Fprintf(&list,
			"%02X-%02X-%02X   (hex)\t\tVendor %d\n%06X     (base 16)\t\tVendor %d\n"+
				"\t\t\t\tStreet\n\t\t\t\tCity\n\n", i>>16, i>>8&255, i&255, i, i, i)
	}
	b.SetBytes(int64(list.Len()))
	for b.Loop() {
		searchVendors(strings.NewReader(list.String()), map[block]bool{blockOf(MAC{0, 0x94}): true})
	}
}

// BenchmarkUnchanged is what following costs each 5 seconds, where nothing changes.
func BenchmarkUnchanged(b *testing.B) {
	n := NewNames(NamesOptions{Leases: []string{"auto"}})
	for b.Loop() {
		n.Read()
	}
}

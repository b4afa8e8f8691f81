package host

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/conntally/conntally/flow/host/lease"
)

// mostPast bounds the leases that are remembered after they left their file.
const mostPast = 4096

// book holds the names of leases, present and past: a device that sleeps, or whose lease has
// ended, keeps its name. It loses the name of its Ethernet address when that gets another
// name, and the name of its IP address when that is lent to another device.
type book struct {
	byMAC  map[MAC]named
	byAddr map[netip.Addr]named
}

// named is what a lease calls a device.
type named struct {
	name  string
	mac   MAC   // zero: the lease doesn't say
	until int64 // its end, in Unix seconds
	live  bool  // it had not ended when it was read
	gone  int64 // when it was missing first, in Unix seconds; 0: it is in a file
}

func newBook() *book {
	return &book{byMAC: map[MAC]named{}, byAddr: map[netip.Addr]named{}}
}

// add adds a lease as of now, in Unix seconds.
func (b *book) add(l *lease.Lease, now int64) {
	n := named{name: l.Name, mac: l.MAC, until: l.Until, live: l.Until > now}
	if old, known := b.byAddr[l.Addr]; (known || len(b.byAddr) < lease.Most) && n.replaces(old) {
		b.byAddr[l.Addr] = n
	}
	if n.mac == (MAC{}) || n.name == "" {
		return
	}
	if old, known := b.byMAC[n.mac]; (known || len(b.byMAC) < lease.Most) && n.replaces(old) {
		b.byMAC[n.mac] = n
	}
}

// replaces reports whether n says more than what another lease says of the same device or
// address: a present lease counts more than one that has ended, one with a MAC more than
// one without, and of two the one that ends later.
func (n named) replaces(old named) bool {
	switch {
	case n.live != old.live:
		return n.live
	case (n.mac == MAC{}) != (old.mac == MAC{}):
		return n.mac != MAC{}
	}
	return n.until >= old.until
}

// remember adds the leases that only an older book holds: at most the given number, those that
// left last.
func (b *book) remember(older *book, now int64, most int) {
	rememberIn(b.byMAC, older.byMAC, now, most)
	rememberIn(b.byAddr, older.byAddr, now, most)
}

func rememberIn[K comparable](names, older map[K]named, now int64, most int) {
	var missing []K
	for k, n := range older {
		if _, known := names[k]; !known && n.name != "" {
			missing = append(missing, k)
		}
	}
	gone := func(k K) int64 {
		if n := older[k]; n.gone != 0 {
			return n.gone
		}
		return now
	}
	if most = min(most, lease.Most-len(names)); len(missing) > most {
		slices.SortFunc(missing, func(x, y K) int { return cmp.Compare(gone(y), gone(x)) })
		missing = missing[:most]
	}
	for _, k := range missing {
		n := older[k]
		n.live, n.gone = false, gone(k)
		names[k] = n
	}
}

// name returns what leases call a device, or "".
func (b *book) name(mac MAC, addrs []netip.Addr) string {
	if mac != (MAC{}) {
		if n, known := b.byMAC[mac]; known {
			return n.name
		}
	}
	for _, a := range addrs {
		n := b.byAddr[a.Unmap().WithZone("")]
		// The name of an address that another device has now isn't this one's.
		if n.name != "" && (mac == n.mac || mac == MAC{} || n.mac == MAC{}) {
			return n.name
		}
	}
	return ""
}

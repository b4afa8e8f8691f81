package host

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// checkInterval is how often files are looked at.
const checkInterval = 5 * time.Second

// NamesOptions configure Names. Zero values are the defaults.
type NamesOptions struct {
	Leases []string // files and directories of DHCP servers; "auto": the usual ones; none
	Ethers string   // "": /etc/ethers
	Hosts  string   // "": /etc/hosts
	OUI    string   // the list of vendors' prefixes; "": the system's, wherever that is
	Clock  conntrack.Clock
}

// Names knows what devices are called, from files of the system. Any goroutine may use it.
type Names struct {
	options NamesOptions
	root    string // before the system's own paths; "" outside of tests
	vendors *vendors

	reading     sync.Mutex // guards what follows; one reading at a time
	leases      []leaseFile
	leasesAgain bool // they were too new to be read for the last time
	hostsFile   staticFile
	ethersFile  staticFile

	mu            sync.RWMutex // guards what follows
	book          *book
	hosts         map[netip.Addr]string
	ethers        map[MAC]ether
	leaseProblems []Problem
}

// NewNames returns names that are read by Read or Follow.
func NewNames(o NamesOptions) *Names { return newNames(o, "") }

func newNames(o NamesOptions, root string) *Names {
	orDefault := func(path *string, own string) {
		if *path == "" {
			*path = root + own
		}
	}
	orDefault(&o.Ethers, "/etc/ethers")
	orDefault(&o.Hosts, "/etc/hosts")
	if o.Clock == nil {
		o.Clock = conntrack.SystemClock()
	}
	return &Names{options: o, root: root, vendors: newVendors(o.OUI, root), book: newBook()}
}

// Follow reads files that have changed until ctx is done.
func (n *Names) Follow(ctx context.Context) {
	n.vendors.deferred.Store(true)
	defer n.vendors.deferred.Store(false)
	ticks := time.NewTicker(checkInterval)
	defer ticks.Stop()
	for {
		n.Read()
		n.vendors.read(n.options.Clock().Mono)
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// Read reads files that have changed, now.
func (n *Names) Read() {
	n.reading.Lock()
	defer n.reading.Unlock()
	n.readStatic()
	n.readLeases()
}

// Name returns what a device is called, or "". The best name is that of a lease, then
// that in /etc/ethers, then that in /etc/hosts. The MAC may be zero.
func (n *Names) Name(mac MAC, addrs []netip.Addr) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if name := n.book.name(mac, addrs); name != "" {
		return name
	}
	if e, known := n.ethers[mac]; known {
		if e.name != "" {
			return e.name
		}
		if name := n.hosts[e.addr]; name != "" {
			return name
		}
	}
	for _, a := range addrs {
		if name := n.hosts[a.Unmap().WithZone("")]; name != "" {
			return name
		}
	}
	return ""
}

// Vendor returns the maker of a device, or "". While Follow runs, it doesn't wait: an answer
// that has to be read from the file is there after some seconds, at most a minute.
func (n *Names) Vendor(mac MAC) string { return n.vendors.name(mac, n.options.Clock().Mono) }

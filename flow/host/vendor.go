package host

import (
	"encoding/binary"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/conntally/conntally/flow/regular"
)

const (
	// mostVendors bounds the prefixes that are kept.
	mostVendors = 4096
	// vendorPause is the least time between two readings of the list, of several megabytes.
	vendorPause = time.Minute
	// largestList bounds the list, in bytes.
	largestList = 64 << 20
)

// block is the first 36 bits of a MAC: the smallest blocks that the IEEE assigns. Larger
// ones have 24 or 28 bits.
type block uint64

const blockBits = 36

func blockOf(mac MAC) block {
	return block(binary.BigEndian.Uint64(append(mac[:len(mac):len(mac)], 0, 0)) >> (64 - blockBits))
}

// vendors looks up the vendors of the blocks that are asked for, and keeps only these.
type vendors struct {
	paths    []string
	deferred atomic.Bool // somebody calls read from time to time

	reading sync.Mutex // guards the list and its stamp
	list    stamp

	mu     sync.Mutex // guards what follows
	known  map[block]string
	wanted map[block]bool
	next   int64 // when the list may be read again, monotonic
}

// newVendors returns the vendors of a list, or of the first one that the system has.
func newVendors(list, root string) *vendors {
	v := &vendors{known: map[block]string{}, wanted: map[block]bool{}}
	if list != "" {
		v.paths = []string{list}
		return v
	}
	for _, path := range []string{
		"/usr/share/ieee-data/oui.txt",
		"/var/lib/ieee-data/oui.txt",
		"/usr/share/hwdata/oui.txt",
		"/usr/share/misc/oui.txt",
		"/usr/share/nmap/nmap-mac-prefixes",
		"/usr/share/wireshark/manuf",
		"/usr/share/arp-scan/ieee-oui.txt",
		"/usr/lib/udev/hwdb.d/20-OUI.hwdb", // with systemd
		"/lib/udev/hwdb.d/20-OUI.hwdb",
	} {
		v.paths = append(v.paths, root+path)
	}
	return v
}

// name returns the vendor of a MAC, or "". now is monotonic.
func (v *vendors) name(mac MAC, now int64) string {
	const group = 1
	if mac.IsLocal() || mac[0]&group != 0 || mac == (MAC{}) {
		return ""
	}
	b := blockOf(mac)
	name, known := v.lookup(b)
	if !known && !v.deferred.Load() {
		v.read(now)
		name, _ = v.lookup(b)
	}
	return name
}

// lookup returns what is known of a block, or marks it as wanted.
func (v *vendors) lookup(b block) (name string, known bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if name, known = v.known[b]; !known && len(v.wanted) < mostVendors {
		v.wanted[b] = true
	}
	return name, known
}

// read looks up what was asked for since the last reading.
func (v *vendors) read(now int64) {
	v.reading.Lock()
	defer v.reading.Unlock()
	wanted := v.take(now)
	if len(wanted) == 0 {
		return
	}
	found := v.search(wanted)
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known)+len(wanted) > mostVendors {
		clear(v.known)
	}
	for b := range wanted {
		v.known[b] = found[b]
	}
}

// take returns the blocks to be looked up now.
func (v *vendors) take(now int64) map[block]bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.wanted) == 0 || v.deferred.Load() && now < v.next {
		return nil
	}
	v.next = now + int64(vendorPause)
	wanted := v.wanted
	v.wanted = map[block]bool{}
	return wanted
}

// search returns the vendors of blocks by the present list.
func (v *vendors) search(wanted map[block]bool) map[block]string {
	var list stamp
	for _, path := range v.paths {
		if list = stampOf(path); list.exists() {
			break
		}
	}
	if list != v.list { // a new list may have what the old one lacked
		v.list = list
		v.mu.Lock()
		clear(v.known)
		v.mu.Unlock()
	}
	if !list.exists() {
		return nil
	}
	file, err := regular.Open(list.path, os.O_RDONLY, 0)
	if err != nil {
		return nil
	}
	defer file.Close()
	return searchVendors(io.LimitReader(file, largestList), wanted)
}

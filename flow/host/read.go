package host

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/conntally/conntally/flow/host/lease"
	"github.com/conntally/conntally/flow/regular"
)

// staticFile is a file that an administrator writes, with an editor or a script.
type staticFile struct {
	stamp stamp
	known bool // it has been read once
	done  bool // it needs no other reading

	problems []Problem // guarded by Names.mu
}

// due reports whether a file is to be read, as of wall, in Unix nanoseconds. A file that is
// just being replaced, and may be empty or missing for a moment, is not due yet.
func (f *staticFile) due(now stamp, wall int64) bool {
	same, young := now == f.stamp, now.young(wall)
	f.stamp = now
	switch {
	case same && f.done:
		return false
	case f.known && (young || now.missing() && !same):
		f.done = false
		return false
	}
	f.known, f.done = true, !young
	return true
}

// readStatic reads /etc/hosts and /etc/ethers where they have changed.
func (n *Names) readStatic() {
	readFile(n, &n.hostsFile, n.options.Hosts, parseHosts, &n.hosts)
	readFile(n, &n.ethersFile, n.options.Ethers, parseEthers, &n.ethers)
}

// readFile replaces names by those of a file, by none if there is no file. If it can't be
// read, they stay.
func readFile[K comparable, V any](
	n *Names, f *staticFile, path string, parse func([]byte) (map[K]V, error), names *map[K]V,
) {
	if !f.due(stampOf(path), n.options.Clock().Wall) {
		return
	}
	var b []byte // of a file that is missing
	var err error
	if !f.stamp.missing() {
		b, err = regular.Read(path, largest)
	}
	var fresh map[K]V
	if err == nil {
		fresh, err = parse(b)
	}
	f.done = f.done && !temporary(err)
	n.mu.Lock()
	defer n.mu.Unlock()
	if fresh != nil {
		*names = fresh
	}
	f.problems = problemsOf(nil, path, err)
}

// readLeases reads all leases where any of their files has changed, and again where one
// changes meanwhile.
func (n *Names) readLeases() {
	const attempts = 3
	for range attempts {
		files := n.findLeases()
		if slices.Equal(files, n.leases) && !n.leasesAgain {
			return
		}
		n.leases, n.leasesAgain = files, false
		n.readFiles(files)
		if n.leasesAgain {
			return
		}
	}
}

// readFiles replaces the book of leases by what files hold now. It remembers the names
// that they held before.
func (n *Names) readFiles(files []leaseFile) {
	clock := n.options.Clock()
	now := clock.Wall / int64(time.Second)
	fresh, whole := newBook(), true
	var problems []Problem
	for _, f := range files {
		leases, err := f.read()
		for i := range leases {
			fresh.add(&leases[i], now)
		}
		young := f.main.young(clock.Wall)
		n.leasesAgain = n.leasesAgain || young || temporary(err)
		whole = whole && err == nil && !young
		if !young || !errors.Is(err, lease.ErrIncomplete) {
			problems = problemsOf(problems, f.main.path, err)
		}
	}
	most := mostPast
	if !whole { // leases that couldn't be read aren't past
		most = lease.Most
	}
	fresh.remember(n.book, now, most)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.book, n.leaseProblems = fresh, problems
}

// temporary reports whether a file that didn't change may be readable at the next attempt.
func temporary(err error) bool {
	var failed *fs.PathError
	return errors.As(err, &failed) && !errors.Is(err, fs.ErrPermission)
}

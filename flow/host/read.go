package host

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/conntally/conntally/flow/host/lease"
	"github.com/conntally/conntally/flow/regular"
)

// readStatic reads /etc/hosts and /etc/ethers where they have changed.
func (n *Names) readStatic() {
	now := [2]stamp{stampOf(n.options.Hosts), stampOf(n.options.Ethers)}
	if now == n.static && !n.staticAgain {
		return
	}
	wall := n.options.Clock().Wall
	n.static, n.staticAgain = now, now[0].young(wall) || now[1].young(wall)
	hosts, hostsErr := readFile(now[0], parseHosts)
	ethers, ethersErr := readFile(now[1], parseEthers)
	n.staticAgain = n.staticAgain || temporary(hostsErr) || temporary(ethersErr)
	n.mu.Lock()
	defer n.mu.Unlock()
	if hosts != nil {
		n.hosts = hosts
	}
	if ethers != nil {
		n.ethers = ethers
	}
	n.staticProblems = problemsOf(nil, now[0].path, hostsErr)
	n.staticProblems = problemsOf(n.staticProblems, now[1].path, ethersErr)
}

// readFile returns the names of a file: none where there is no file, nil where it can't be
// read.
func readFile[K comparable, V any](
	s stamp, parse func([]byte) (map[K]V, error),
) (map[K]V, error) {
	if s.missing() {
		return map[K]V{}, nil
	}
	b, err := regular.Read(s.path, largest)
	if err != nil {
		return nil, err
	}
	return parse(b)
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
	if !whole { // what couldn't be read isn't past
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

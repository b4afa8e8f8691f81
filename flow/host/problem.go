package host

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// Problem is a file of names that exists or was configured, but can't be used as it is.
type Problem struct {
	Path string
	Err  error
	Fix  string // "": there is no single one
}

// Error returns the path and what is wrong with the file.
func (p Problem) Error() string {
	if text := p.Err.Error(); strings.HasPrefix(text, p.Path+" ") {
		return text
	}
	return p.Path + ": " + p.Err.Error()
}

// permissionFix is for files such as those of Kea, mode 0600.
const permissionFix = "give conntally CAP_DAC_READ_SEARCH, as docs/devices.md shows"

// errHidden is how a service with its own user sees the state of another service: systemd
// hides /var/lib/private from it.
var errHidden = errors.New("it leads to a directory that is not visible to this service")

// problemsOf appends the problem of a file, if it has one: its path, or that of its directory.
func problemsOf(list []Problem, path string, err error) []Problem {
	if err == nil {
		return list
	}
	p := Problem{Path: path, Err: err}
	var failed *fs.PathError
	if errors.As(err, &failed) {
		p.Path, p.Err = failed.Path, failed.Err
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		p.Fix = permissionFix
	case errors.Is(err, errHidden):
		p.Fix = "add BindReadOnlyPaths= to the service, as docs/devices.md shows"
	}
	if n := len(list); n > 0 && list[n-1].Path == p.Path { // their directory's
		return list
	}
	return append(list, p)
}

// Problems returns what is wrong with the files of names, as of the last reading.
func (n *Names) Problems() []Problem {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.Concat(n.leaseProblems, n.hostsFile.problems, n.ethersFile.problems)
}

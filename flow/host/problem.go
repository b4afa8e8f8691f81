package host

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// Problem is a file of names that exists, or was named, and can't be used as it is.
type Problem struct {
	Path string
	Err  error
	Fix  string // "": there is no single one
}

// Error returns the path and what is wrong with the file.
func (p Problem) Error() string {
	var failed *fs.PathError
	if errors.As(p.Err, &failed) {
		return failed.Path + ": " + failed.Err.Error()
	}
	if text := p.Err.Error(); strings.HasPrefix(text, p.Path+" ") {
		return text
	}
	return p.Path + ": " + p.Err.Error()
}

// permissionFix is for files such as those of Kea, mode 0600.
const permissionFix = "give conntally CAP_DAC_READ_SEARCH, as docs/devices.md shows"

// problemsOf appends the problem of a file, if it has one.
func problemsOf(list []Problem, path string, err error) []Problem {
	if err == nil {
		return list
	}
	p := Problem{Path: path, Err: err}
	if errors.Is(err, fs.ErrPermission) {
		p.Fix = permissionFix
	}
	return append(list, p)
}

// Problems returns what is wrong with the files of names, as of the last reading.
func (n *Names) Problems() []Problem {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.Concat(n.leaseProblems, n.staticProblems)
}

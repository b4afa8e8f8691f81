// Package agent describes the programs that are compared, how each is configured and why.
// It starts them, waits until they work, and stops them with all their processes.
package agent

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// Agent is a program that watches the router.
type Agent struct {
	Name    string
	Program string // looked up in PATH, also in /usr/sbin
	Package string // Debian's
	Export  string // the protocol of its records
	Why     string // why it is configured as it is

	// Captures reports whether it captures packets; otherwise it reads conntrack.
	Captures bool
	// NeedsEnds reports whether it exports connections only when they end.
	NeedsEnds bool
	// Sysctls of the router that its documentation asks for, below /proc/sys.
	Sysctls map[string]string
	// Ready is what it prints once it works; "" = nothing that could be waited for.
	Ready string
	// NoEvents reports whether it joins no group of conntrack's events, nor captures: Ready says
	// that it works.
	NoEvents bool
	// Optional reports whether it is left out where it doesn't begin to work.
	Optional bool

	// Files are written to Setting.Dir beforehand, by name.
	Files func(Setting) map[string]string
	// Args are the command line.
	Args func(Setting) []string
	// Version asks for the version.
	Version []string
	// Period is that of what it does at intervals, if it is longer than a second.
	Period time.Duration

	counted string // the program that valgrind runs, "" = without valgrind
	ask     func(context.Context, *Running) (string, error)
	missed  func(answer, log string) (count uint64, unit string, ok bool)
}

// Setting is what a program's configuration depends on.
type Setting struct {
	Dir       string         // its own, for files
	Collector netip.AddrPort // to which it exports
	Interface string         // that of the LAN
	MaxFlows  int            // that it must be able to hold
	AllCPU    bool           // polls aren't stretched, however much they take
}

func (s Setting) path(name string) string { return filepath.Join(s.Dir, name) }

// All returns the programs in the order of the report; conntally is at a path of
// its own.
func All(conntally string) []Agent {
	return append(Duel(conntally), fprobe(), pmacctd(), ulogd2())
}

// writeFiles writes what the program reads.
func (a *Agent) writeFiles(s Setting) error {
	if a.Files == nil {
		return nil
	}
	for name, text := range a.Files(s) {
		if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Duel returns conntally, by netlink and by eBPF, and softflowd alone.
func Duel(conntally string) []Agent {
	return []Agent{newConntally(conntally), byBPF(conntally), softflowd()}
}

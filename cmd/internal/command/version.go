package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
)

// Version is what a program was built from. The build stamps variables of package main,
// -ldflags "-X main.version=...", which main puts here.
type Version struct {
	Version string `json:"version"`          // such as v0.2.0; "devel" if nothing was stamped
	Commit  string `json:"commit,omitempty"` // hexadecimal digits
	Date    string `json:"date,omitempty"`   // of the commit, such as 2026-01-31
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// complete adds what the running program knows of itself. `go install` stamps nothing, but
// Go's build information has the version.
func (v Version) complete(info *debug.BuildInfo) Version {
	if info != nil && v.Version == "devel" && strings.HasPrefix(info.Main.Version, "v") {
		v.Version = info.Main.Version
	}
	v.Go, v.OS, v.Arch = runtime.Version(), runtime.GOOS, runtime.GOARCH
	return v
}

// String returns the version and what it was built from.
func (v Version) String() string {
	details := make([]string, 0, 3)
	if v.Commit != "" {
		details = append(details, "commit "+v.Commit)
	}
	if v.Date != "" {
		details = append(details, v.Date)
	}
	details = append(details, fmt.Sprintf("%s %s/%s", v.Go, v.OS, v.Arch))
	return fmt.Sprintf("%s (%s)", v.Version, strings.Join(details, ", "))
}

// version is the command version.
func (p *Program) version(_ context.Context, args []string, stdout, _ io.Writer) error {
	fs := NewFlags(p.Name, "version", "print the version", stdout)
	asJSON := fs.Bool("json", false, "print one JSON object")
	if err := fs.Parse(args); err != nil {
		return err
	}
	info, _ := debug.ReadBuildInfo()
	v := p.Version.complete(info)
	if *asJSON {
		return json.NewEncoder(stdout).Encode(v)
	}
	_, err := fmt.Fprintln(stdout, p.Name, v)
	return err
}

package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
)

// Stamped by the build: -ldflags "-X main.version=...", and so on.
var (
	version = "devel"
	commit  string
	date    string // of the commit, such as 2026-01-31
)

// runVersion is `conntally version`.
func runVersion(_ context.Context, args []string, stdout, _ io.Writer) error {
	if err := newFlags("version", "print the version", stdout).parse(args); err != nil {
		return err
	}
	info, _ := debug.ReadBuildInfo()
	_, err := fmt.Fprintln(stdout, describe(version, commit, date, info))
	return err
}

// describe returns the program's name, version and what it was built from. `go install`
// stamps nothing, but Go's build information has the version.
func describe(version, commit, date string, info *debug.BuildInfo) string {
	if info != nil && version == "devel" && strings.HasPrefix(info.Main.Version, "v") {
		version = info.Main.Version
	}
	details := make([]string, 0, 3)
	if commit != "" {
		details = append(details, "commit "+commit)
	}
	if date != "" {
		details = append(details, date)
	}
	details = append(details, fmt.Sprintf("%s %s/%s", runtime.Version(), runtime.GOOS,
		runtime.GOARCH))
	return fmt.Sprintf("conntally %s (%s)", version, strings.Join(details, ", "))
}

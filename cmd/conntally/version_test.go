package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// TestDescribeVersion: stamped, or from Go's build information.
func TestDescribeVersion(t *testing.T) {
	machine := runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
	info := func(version string) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}}
	}
	cases := []struct {
		version, commit, date string
		info                  *debug.BuildInfo
		want                  string
	}{
		{"devel", "", "", nil, "conntally devel (" + machine + ")"},
		{"devel", "", "", info("(devel)"), "conntally devel (" + machine + ")"},
		{"devel", "", "", info("v0.1.0"), "conntally v0.1.0 (" + machine + ")"},
		{"v0.2.0", "0123456789ab", "2026-01-31", info("v0.1.0"),
			"conntally v0.2.0 (commit 0123456789ab, 2026-01-31, " + machine + ")"},
	}
	for _, c := range cases {
		if got := describe(c.version, c.commit, c.date, c.info); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

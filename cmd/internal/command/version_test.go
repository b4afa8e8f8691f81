package command

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
		{"devel", "", "", nil, "devel (" + machine + ")"},
		{"devel", "", "", info("(devel)"), "devel (" + machine + ")"},
		{"devel", "", "", info("v0.1.0"), "v0.1.0 (" + machine + ")"},
		{"v0.2.0", "0123456789ab", "2026-01-31", info("v0.1.0"),
			"v0.2.0 (commit 0123456789ab, 2026-01-31, " + machine + ")"},
	}
	for _, c := range cases {
		v := Version{Version: c.version, Commit: c.commit, Date: c.date}
		if got := v.complete(c.info).String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

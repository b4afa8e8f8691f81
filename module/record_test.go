// Package module holds what is installed beside the program. Its tests hold these
// files to the program and to each other.
package module

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// recordFile has what a real nixpkgs made of the NixOS module, so that it can be tried
// where there is none.
const recordFile = "evaluate/evaluated.json"

const renew = "run make nix-record NIXPKGS=DIR, with DIR a checkout of nixpkgs"

// record is the outcome of evaluate/default.nix.
type record struct {
	Sources  string // a hash of what was evaluated
	Nixpkgs  string // its release
	Settings map[string]string
	// HistorySettings are those of conntally-history.
	HistorySettings map[string]string
	Minimal         map[string]json.RawMessage            // an outcome
	Differences     map[string]map[string]json.RawMessage // from Minimal
}

// outcome is what became of a system.
type outcome struct {
	File          any  // the configuration's value, or the path of one
	Checked       bool // by the program, while the system is built
	Unit          []string
	Restart       []any // tables of what restarts it, or the path of a file
	Sysctls       map[string]int
	KernelModules []string
	Nftables      map[string]string
	Iptables      []string
	IptablesStop  []string
	Ports         []int
	Warnings      []string
	Alerts        []json.RawMessage // rules, or the names of files that have them
	History       *historyOutcome   // nil: none is kept
}

// historyOutcome is what became of conntally-history.
type historyOutcome struct {
	File    map[string]any // the configuration
	Checked bool
	Unit    []string
	Restart bool // a changed configuration restarts it
}

func readRecord(t *testing.T) *record {
	t.Helper()
	var r record
	if err := json.Unmarshal([]byte(read(t, recordFile)), &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

// systems lists all that were evaluated.
func (r *record) systems() []string {
	return append(slices.Sorted(maps.Keys(r.Differences)), "minimal")
}

// system returns the outcome of one system.
func (r *record) system(t *testing.T, name string) (o outcome) {
	t.Helper()
	if !slices.Contains(r.systems(), name) {
		t.Fatalf("no system %q was evaluated", name)
	}
	merged := maps.Clone(r.Minimal)
	maps.Copy(merged, r.Differences[name])
	b, err := json.Marshal(merged)
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// exporters lists the systems that have conntally itself.
func (r *record) exporters(t *testing.T) (names []string) {
	t.Helper()
	for _, name := range r.systems() {
		if len(r.system(t, name).Unit) > 0 {
			names = append(names, name)
		}
	}
	return names
}

// history returns what became of conntally-history on a system that has it.
func (r *record) history(t *testing.T, name string) *historyOutcome {
	t.Helper()
	h := r.system(t, name).History
	if h == nil {
		t.Fatalf("%s keeps no history", name)
	}
	return h
}

// minimal returns the outcome of the three lines.
func (r *record) minimal(t *testing.T) outcome { return r.system(t, "minimal") }

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// nixFiles lists all Nix files.
func nixFiles(t *testing.T) []string {
	t.Helper()
	files := []string{"../flake.nix"}
	for _, pattern := range []string{"*.nix", "*/*.nix"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	return files
}

// sources hashes what the record depends on. Package and test change more often, and
// don't show in it.
func sources(t *testing.T) string {
	t.Helper()
	h := sha256.New()
	for _, name := range nixFiles(t) {
		if !slices.Contains([]string{"package.nix", "test.nix"}, name) {
			h.Write([]byte(name + "\n" + read(t, name)))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func TestRecordIsCurrent(t *testing.T) {
	if readRecord(t).Sources != sources(t) {
		t.Errorf("%s is of other Nix files: %s", recordFile, renew)
	}
}

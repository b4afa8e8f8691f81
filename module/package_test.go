package module

import (
	"encoding/json"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/conntally/conntally/bench/lab/labtest"
)

// one returns what a pattern finds in a file.
func one(t *testing.T, path, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(read(t, path))
	if found == nil {
		t.Fatalf("%s has no %s", path, pattern)
	}
	return found[1]
}

func TestNixFilesParse(t *testing.T) {
	for _, name := range nixFiles(t) {
		if out, err := needNix(t, "nix-instantiate", "--store", "dummy://", "--parse", name).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

func needNix(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skip(err)
	}
	return exec.Command(path, args...)
}

// The dependencies are those that the package is held to.
func TestVendorHash(t *testing.T) {
	needNix(t, "nix")
	cmd := exec.Command("../.ci/vendor-hash")
	labtest.AsCaller(t, cmd)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimSpace(string(out))
	if got := one(t, "package.nix", `vendorHash = "(.*)"`); got != want {
		t.Errorf("vendorHash is %s, the dependencies have %s: run make vendor-hash", got, want)
	}
}

// The package has the version of the last release, or of the first one to come.
func TestVersion(t *testing.T) {
	version := one(t, "package.nix", `version = "(.*)"`)
	released := regexp.MustCompile(`(?m)^## v?([0-9][0-9A-Za-z.-]*)`).FindStringSubmatch(read(t, "../CHANGELOG.md"))
	if released != nil && released[1] != version {
		t.Errorf("the package has version %s, the changelog %s", version, released[1])
	}
	tags, err := exec.Command("git", "tag", "--points-at", "HEAD").Output()
	if err != nil {
		t.Skip(err) // no repository
	}
	for tag := range strings.Lines(string(tags)) {
		if name := strings.TrimSpace(tag); strings.HasPrefix(name, "v") && name != "v"+version {
			t.Errorf("the package has version %s, this commit %s", version, name)
		}
	}
}

// All Go files are among the package's sources; the hash of dependencies is of all.
func TestPackageHasAllSources(t *testing.T) {
	text := read(t, "package.nix")
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		top, _, _ := strings.Cut(strings.TrimPrefix(path, "../"), "/")
		if d.IsDir() && path != ".." && (strings.HasPrefix(top, ".") || top == "vendor") {
			return fs.SkipDir
		}
		if strings.HasSuffix(path, ".go") && !strings.Contains(text, "../"+top+"\n") {
			t.Errorf("%s is missing in package.nix", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The lock is of the input that the flake names.
func TestLock(t *testing.T) {
	var lock struct {
		Nodes map[string]struct {
			Locked   struct{ Rev, NarHash string }
			Original struct{ Owner, Repo, Ref, Type string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "../flake.lock")), &lock); err != nil {
		t.Fatal(err)
	}
	n := lock.Nodes["nixpkgs"]
	url := n.Original.Type + ":" + n.Original.Owner + "/" + n.Original.Repo + "/" + n.Original.Ref
	if want := one(t, "../flake.nix", `nixpkgs\.url = "(.*)"`); url != want || len(n.Locked.Rev) != 40 || n.Locked.NarHash == "" {
		t.Errorf("flake.lock is of %s at %q, the flake wants %s", url, n.Locked.Rev, want)
	}
}

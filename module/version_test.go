package module

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestLaterVersionsAreGreater holds .ci/version to it, for the program and for packages, from
// before the first tag on.
func TestLaterVersionsAreGreater(t *testing.T) {
	r := newCommits(t)
	var packages []string
	for _, step := range []struct {
		tag, program, pack string // # is a digit, HASH a commit's hash
	}{
		{"", "0.0.0+20261201000100.gHASH", "0.0.0+20261201000100.gHASH"},
		{"", "0.0.0+20261201000200.gHASH", "0.0.0+20261201000200.gHASH"},
		{"v0.1.0-rc1", "v0.1.0-rc1", "0.1.0~rc1"},
		{"", "v0.1.0-rc1-1-gHASH", "0.1.0~rc1+1.gHASH"},
		{"v0.1.0", "v0.1.0", "0.1.0"},
		{"", "v0.1.0-1-gHASH", "0.1.0+1.gHASH"},
		{"", "v0.1.0-2-gHASH", "0.1.0+2.gHASH"},
	} {
		r.commit(step.tag)
		program, pack := r.version(), r.version("package")
		if !matches(program, step.program) || !matches(pack, step.pack) {
			t.Errorf("version %s, of packages %s, want %s, %s", program, pack, step.program, step.pack)
		}
		packages = append(packages, pack)
	}
	for i := range packages[1:] {
		greater(t, packages[i+1], packages[i])
	}
	r.change()
	greater(t, r.version("package"), packages[len(packages)-1])
	if got := r.version(); !matches(got, "v0.1.0-2-gHASH-dirty") {
		t.Errorf("with changes that are not committed: %s", got)
	}
	if err := os.RemoveAll(filepath.Join(r.dir, ".git")); err != nil {
		t.Fatal(err)
	}
	if got := r.version(); got != "" {
		t.Errorf("without a repository: %s", got)
	}
}

func matches(version, pattern string) bool {
	pattern = strings.ReplaceAll(regexp.QuoteMeta(pattern), "HASH", "[0-9a-f]{7,}")
	return regexp.MustCompile("^" + pattern + "$").MatchString(version)
}

// greater holds that Debian's and RPM's package managers take a for the newer version, where they
// are installed.
func greater(t *testing.T, a, b string) {
	t.Helper()
	if dpkg, err := exec.LookPath("dpkg"); err == nil {
		if err := exec.Command(dpkg, "--compare-versions", a, "gt", b).Run(); err != nil {
			t.Errorf("dpkg: %s is not greater than %s", a, b)
		}
	}
	if rpm, err := exec.LookPath("rpm"); err == nil {
		compare := fmt.Sprintf("%%{lua:print(rpm.vercmp(%q, %q))}", a, b)
		if out, err := exec.Command(rpm, "--eval", compare).Output(); err == nil &&
			strings.TrimSpace(string(out)) != "1" {
			t.Errorf("rpm: %s is not greater than %s", a, b)
		}
	}
}

// commits is a git repository with .ci/version, whose clock goes by minutes.
type commits struct {
	t   *testing.T
	dir string
	now time.Time
}

func newCommits(t *testing.T) *commits {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	r := &commits{t: t, dir: t.TempDir(), now: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}
	if err := os.Mkdir(filepath.Join(r.dir, ".ci"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(r.dir, ".ci", "version")
	if err := os.WriteFile(script, []byte(read(t, "../.ci/version")), 0o755); err != nil { //nolint:gosec // a script
		t.Fatal(err)
	}
	r.run("git", "init", "-q")
	r.run("git", "add", ".")
	return r
}

// run runs a program in the repository, in a time zone of its own.
func (r *commits) run(program string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = r.dir
	stamp := r.now.Format(time.RFC3339)
	cmd.Env = append(os.Environ(), "TZ=Pacific/Auckland", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_COMMITTER_DATE="+stamp, "GIT_AUTHOR_DATE="+stamp, "GIT_AUTHOR_NAME=a",
		"GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit commits a minute later, and tags the commit unless tag is "".
func (r *commits) commit(tag string) {
	r.t.Helper()
	r.now = r.now.Add(time.Minute)
	r.run("git", "commit", "-q", "--allow-empty", "-m", "a")
	if tag != "" {
		r.run("git", "tag", tag)
	}
}

func (r *commits) change() {
	r.t.Helper()
	r.run("sh", "-c", "echo >>.ci/version")
}

func (r *commits) version(args ...string) string {
	r.t.Helper()
	return r.run(filepath.Join(r.dir, ".ci", "version"), args...)
}

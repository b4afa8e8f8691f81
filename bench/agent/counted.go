package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Counted returns the program run by valgrind, which counts its instructions. All else
// of it is slower by far.
func (a Agent) Counted() (Agent, error) {
	path, err := a.Path()
	if err != nil {
		return a, err
	}
	args := a.Args
	a.counted, a.Program, a.Package = path, "valgrind", "valgrind"
	a.Args = func(s Setting) []string {
		// lackey, not callgrind: softflowd changes its root, and then no new file can
		// be written.
		tool := []string{
			"--tool=lackey", "--basic-counts=yes", "--log-file=" + s.path("count.%p"), path,
		}
		return append(tool, args(s)...)
	}
	return a, nil
}

// Instructions sums up what valgrind has counted of a Counted program that has ended.
// The kernel's are not among them.
func (r *Running) Instructions() (sum uint64, err error) {
	files, err := filepath.Glob(r.Setting.path("count.*"))
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		n, err := parseCount(string(b))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", r.Agent.Name, err)
		}
		sum += n
	}
	return sum, nil
}

func parseCount(log string) (uint64, error) {
	match := regexp.MustCompile(`guest instrs: +([0-9,]+)`).FindStringSubmatch(log)
	if match == nil {
		return 0, errors.New("valgrind has counted no instructions")
	}
	return strconv.ParseUint(strings.ReplaceAll(match[1], ",", ""), 10, 64)
}

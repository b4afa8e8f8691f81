package commandtest

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/conntally/conntally/module/document"
)

// CheckMentions reports command lines of the program in the documents below a directory, and
// in the manual page's examples, whose command or flags don't exist.
func (d *Documents) CheckMentions(t *testing.T, dir string) {
	t.Helper()
	paths, err := document.Paths(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := Describe(t, d.Program)
	found := d.checkLines(t, all, "the manual page", d.examples())
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found += d.checkLines(t, all, path, document.Mentions(path, string(text)))
	}
	if found < 2*len(all) {
		t.Errorf("only %d command lines were found", found)
	}
}

// flagOf is a flag of a command line.
var flagOf = regexp.MustCompile(`[ \[](-[a-z]\b|--[a-z][a-z-]*)`)

// checkLines returns how many of the lines are of the program.
func (d *Documents) checkLines(t *testing.T, all []Described, path string, lines []string) (n int) {
	t.Helper()
	of := regexp.MustCompile(`(?:^|sudo |\./|[|&(;] ?)` + d.Program.Name + ` ([a-z][a-z-]*)([^|>]*)`)
	for _, line := range lines {
		for _, m := range of.FindAllStringSubmatch(line, -1) {
			n++
			i := slices.IndexFunc(all, func(c Described) bool { return c.Name == m[1] })
			if i < 0 {
				t.Errorf("%s: %q: there is no command %s", path, line, m[1])
				continue
			}
			for _, f := range flagOf.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(all[i].flags(), f[1]) && f[1] != "--help" {
					t.Errorf("%s: %q: %s has no flag %s", path, line, m[1], f[1])
				}
			}
		}
	}
	return n
}

// examples returns the command lines of the page's examples.
func (d *Documents) examples() (lines []string) {
	_, examples, _ := strings.Cut(strings.ReplaceAll(d.Tail, `\-`, "-"), ".SH EXAMPLES\n")
	for line := range strings.Lines(examples) {
		if command, is := strings.CutPrefix(line, ".B "); is {
			lines = append(lines, strings.TrimSpace(command))
		}
	}
	return lines
}

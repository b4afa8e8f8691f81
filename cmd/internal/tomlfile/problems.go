package tomlfile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"
)

// maxProblems bounds how much is said of one file.
const maxProblems = 20

// problems collects what is wrong in a file.
type problems struct {
	file  string
	found []problem
}

// problem is a line of the file and what is wrong there, made only if it is shown.
type problem struct {
	line int
	text func() string
}

func (p *problems) add(line int, text func() string) { p.found = append(p.found, problem{line, text}) }

// err returns all problems, a line each, or nil.
func (p *problems) err() error {
	slices.SortStableFunc(p.found, func(a, b problem) int { return cmp.Compare(a.line, b.line) })
	var errs []error
	for _, f := range p.found[:min(len(p.found), maxProblems)] {
		errs = append(errs, fmt.Errorf("%s:%d: %s", p.file, f.line, f.text()))
	}
	if more := len(p.found) - maxProblems; more > 0 {
		errs = append(errs, fmt.Errorf("%s: and %d more", p.file, more))
	}
	return errors.Join(errs...)
}

// literal returns " = " and a value as TOML, or "" for a table.
func literal(v any) string {
	text, err := toml.Marshal(map[string]any{"x": v})
	if value, is := strings.CutPrefix(string(text), "x = "); is && err == nil {
		return " = " + excerpt(value)
	}
	return ""
}

// excerpt makes what stands in a file fit for a message.
func excerpt(s string) string {
	const most = 60
	first, _, more := strings.Cut(strings.TrimSpace(s), "\n")
	if runes := []rune(first); len(runes) > most {
		first, more = string(runes[:most]), true
	}
	if first = printable(first); more {
		first += " ..."
	}
	return first
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

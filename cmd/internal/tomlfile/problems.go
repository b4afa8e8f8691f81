package tomlfile

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"
)

// maxProblems bounds how many mistakes are listed.
const maxProblems = 20

// wrong reports that an entry is wrong.
func (d *decoder) wrong(e entry, text string) {
	if d.wrongs++; d.wrongs > maxProblems {
		return
	}
	place := d.file
	if line := d.line(e); line > 0 {
		place = fmt.Sprintf("%s:%d", d.file, line)
	}
	d.problems = append(d.problems,
		fmt.Errorf("%s: %s%s: %s", place, excerpt(e.name), literal(e.value), text))
}

// err returns all problems, one a line, or nil.
func (d *decoder) err() error {
	if more := d.wrongs - maxProblems; more > 0 {
		d.problems = append(d.problems, fmt.Errorf("%s: and %d more", d.file, more))
	}
	return errors.Join(d.problems...)
}

// line returns the line of an entry's value, or 0. The library has it only in errors.
func (d *decoder) line(e entry) int {
	var parse toml.ParseError
	if e.hasLine {
		errors.As(d.meta.PrimitiveDecode(e.raw, refusal{}), &parse)
	}
	return parse.Position.Line
}

// refusal is a value that can't be decoded.
type refusal struct{}

// UnmarshalTOML implements toml.Unmarshaler.
func (refusal) UnmarshalTOML(any) error { return errors.New("refused") }

// literal returns " = " and a value as TOML, or "" for a table.
func literal(v any) string {
	text, err := toml.Marshal(map[string]any{"x": v})
	if value, is := strings.CutPrefix(string(text), "x = "); is && err == nil {
		return " = " + excerpt(value)
	}
	return ""
}

// excerpt shortens text of a file to a printable line.
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

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

// problems collects the mistakes in a file.
type problems struct {
	file  string
	meta  toml.MetaData
	found []problem
}

// problem is a mistake.
type problem struct {
	order int             // in the file
	line  int             // 0 is unknown
	raw   *toml.Primitive // has a line, unless nil
	text  string
}

// wrong reports an entry.
func (p *problems) wrong(e entry, text string) {
	found := problem{order: e.order, text: excerpt(e.name) + literal(e.value) + ": " + text}
	if e.hasLine {
		found.raw = &e.raw
	}
	p.found = append(p.found, found)
}

// err returns all problems, one a line, or nil.
func (p *problems) err() error {
	const most = 20
	slices.SortStableFunc(p.found, func(a, b problem) int { return cmp.Compare(a.order, b.order) })
	var errs []error
	for _, f := range p.found[:min(len(p.found), most)] {
		place := p.file
		if f.raw != nil {
			f.line = p.line(*f.raw)
		}
		if f.line > 0 {
			place = fmt.Sprintf("%s:%d", p.file, f.line)
		}
		errs = append(errs, fmt.Errorf("%s: %s", place, f.text))
	}
	if more := len(p.found) - most; more > 0 {
		errs = append(errs, fmt.Errorf("%s: and %d more", p.file, more))
	}
	return errors.Join(errs...)
}

// line returns the line of a key's value, or 0: the library only puts it into errors.
func (p *problems) line(raw toml.Primitive) int {
	var parse toml.ParseError
	errors.As(p.meta.PrimitiveDecode(raw, refusal{}), &parse)
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

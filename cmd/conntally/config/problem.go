package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"
)

// maxProblems bounds how much is said of one file.
const maxProblems = 20

// problems collects what is wrong in a file.
type problems struct {
	file   string
	found  []error
	hidden int
}

func (p *problems) add(line int, text string) {
	if len(p.found) == maxProblems {
		p.hidden++
		return
	}
	p.found = append(p.found, fmt.Errorf("%s:%d: %s", p.file, line, text))
}

// err returns all problems, a line each, or nil.
func (p *problems) err() error {
	if p.hidden > 0 {
		return errors.Join(append(p.found, fmt.Errorf("%s: and %d more", p.file, p.hidden))...)
	}
	return errors.Join(p.found...)
}

// reader sets a struct's fields to what a file says.
type reader struct {
	problems
	toml     unstable.Parser
	sections []*section

	counted struct{ offset, lines int } // so many ends of lines before the offset
}

// wrong reports a key.
func (r *reader) wrong(s *section, name string, key given, text string) {
	where := name
	if s.label != "" {
		where = s.label + " " + name
	}
	r.add(key.line, fmt.Sprintf("%s = %s: %s", excerpt(where), excerpt(key.text), text))
}

// check reports what is wrong with the whole.
func (r *reader) check(c *Config) {
	tables := make(map[any]*section, len(r.sections))
	for _, s := range r.sections {
		tables[s.value().Addr().Interface()] = s
	}
	c.check(func(table any, name, text string) {
		s := tables[table]
		if key, given := s.keys[name]; given {
			r.wrong(s, name, key, text)
		} else {
			r.add(s.line, s.label+" "+name+": "+text)
		}
	})
}

// key returns the parts of a key and its line.
func (r *reader) key(e *unstable.Node) (names []string, line int) {
	for it := e.Key(); it.Next(); {
		if line == 0 {
			line = r.line(int(it.Node().Raw.Offset))
		}
		names = append(names, string(it.Node().Data))
	}
	return names, line
}

// text returns the value of a line "key = value" as it is written.
func (r *reader) text(e *unstable.Node) string {
	end := e.Raw.Offset
	for it := e.Key(); it.Next(); {
		end = it.Node().Raw.Offset + it.Node().Raw.Length
	}
	rest := r.toml.Data()[end : e.Raw.Offset+e.Raw.Length]
	return strings.TrimLeft(string(rest), " \t=")
}

// line returns the number of the line of an offset. It is asked in their order but
// for errors, and counts on from the last one.
func (r *reader) line(offset int) int {
	if offset < r.counted.offset {
		r.counted.offset, r.counted.lines = 0, 0
	}
	r.counted.lines += bytes.Count(r.toml.Data()[r.counted.offset:offset], []byte("\n"))
	r.counted.offset = offset
	return 1 + r.counted.lines
}

// lineAt returns the line of an offset.
func lineAt(data []byte, offset int) string {
	begin := bytes.LastIndexByte(data[:offset], '\n') + 1
	line, _, _ := bytes.Cut(data[begin:], []byte("\n"))
	return string(line)
}

// excerpt makes what stands in a file fit for a message.
func excerpt(s string) string {
	const most = 60
	first, _, more := strings.Cut(strings.TrimSpace(s), "\n")
	if runes := []rune(first); len(runes) > most {
		first, more = string(runes[:most]), true
	}
	first = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, first)
	if more {
		first += " ..."
	}
	return first
}

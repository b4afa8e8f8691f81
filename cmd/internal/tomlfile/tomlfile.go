// Package tomlfile decodes configuration files into structs: TOML in; out comes a struct, or
// an error that lists everything that is wrong with the file, with line, key and what is
// allowed. A field is a key, a struct is a table, a slice of structs is an array of tables.
//
// Tags: `toml` names the key, `range:"LOW,HIGH"` bounds a number (each one has it),
// `restart` marks what a reload can't change. A value whose type implements
// encoding.TextUnmarshaler says itself what is allowed: its error begins with "want".
package tomlfile

import (
	"bytes"
	"errors"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"
)

// MaxSize is the size of the largest file that Decode is for, in bytes.
const MaxSize = 1 << 20

// Checker is implemented by a struct that knows more than its values' types do. Check is
// called once all values are good. It calls wrong with the address of the struct
// concerned, the key in it, and what is allowed.
type Checker interface {
	Check(wrong func(table any, key, text string))
}

// Defaulter is implemented by elements of arrays of tables that aren't zero by default.
type Defaulter interface {
	SetDefaults()
}

// Decode decodes text over what v, a pointer to a struct, holds. In errors, name stands for
// the file. After one, v holds some of the values.
func Decode(name string, text []byte, v any) error {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	d := decoder{
		problems: problems{file: name}, schema: reflect.TypeOf(v).Elem(),
		values: map[string]toml.Primitive{}, tables: map[any]place{},
	}
	marks, err := outline(string(text))
	if err == nil {
		err = d.parse(string(text), marks)
	}
	if err != nil {
		line := d.syntax(string(text), err)
		_ = d.parse(above(string(text), marks, line), marks)
	}
	d.table(place{}, d.root, reflect.ValueOf(v).Elem())
	if checker, is := v.(Checker); is && len(d.found) == 0 { // else what is missing may be mistyped
		checker.Check(d.check)
	}
	return d.err()
}

// parse reads what can be parsed.
func (d *decoder) parse(text string, marks []mark) (err error) {
	var root map[string]toml.Primitive
	d.meta, err = toml.Decode(text, &root)
	if err == nil {
		d.root, d.lines = root, locate(marks, &d.meta)
	}
	return err
}

// syntax reports what is no TOML, and returns its line.
func (d *decoder) syntax(text string, err error) (line int) {
	line, message := 1, err.Error()
	var parse toml.ParseError
	var nested *nestedError
	switch {
	case errors.As(err, &parse):
		line, message = parse.Position.Line, parse.Message
	case errors.As(err, &nested):
		line = nested.line
	}
	lines := strings.Split(text, "\n")
	line = min(line, len(lines))
	d.add(line, func() string { return excerpt(lines[line-1]) + ": " + printable(message) })
	return line
}

// above returns what is above the statement that has a line.
func above(text string, marks []mark, line int) string {
	begin := 1
	for _, m := range marks {
		if m.depth == 0 && m.line <= line {
			begin = m.line
		}
	}
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[:begin-1], "")
}

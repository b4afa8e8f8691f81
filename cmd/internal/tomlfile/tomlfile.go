// Package tomlfile decodes configuration files into structs: TOML in; out comes a struct, or
// an error that lists every mistake in the file, with line, key and what is allowed. A field
// is a key, a struct is a table, a slice of structs is an array of tables.
//
// Tags: `toml` names the key, `range:"LOW,HIGH"` bounds a number (each one has it),
// `restart` marks a key that a reload can't change. A type that implements
// encoding.TextUnmarshaler returns errors that begin with "want" and say what is allowed.
package tomlfile

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

// MaxSize is the size of the largest file that Decode is meant for, in bytes.
const MaxSize = 64 << 10

// maxDepth bounds tables and lists in each other, and the parts of a dotted key. The
// library's memory and time grow with the square of both: a file of 16 KiB can cost 900 MiB.
const maxDepth = 8

// Checker is implemented by a struct with rules that concern more than one value. Check
// runs once all values are valid. It calls wrong with the address of the struct concerned,
// the key in it, and what is allowed.
type Checker interface {
	Check(wrong func(table any, key, text string))
}

// Defaulter is implemented by elements of arrays of tables whose default isn't zero.
type Defaulter interface {
	SetDefaults()
}

// Decode decodes text over what v, a pointer to a struct, holds. Errors call the file name.
// After an error, v holds some of the values.
func Decode(name string, text []byte, v any) error {
	d := decoder{
		problems: problems{file: name},
		schema:   reflect.TypeOf(v).Elem(),
		further:  map[string]int{},
		order:    map[string]int{},
		entries:  map[field]entry{},
	}
	source := strings.TrimPrefix(string(text), "\ufeff")
	root, err := d.parse(source)
	if err != nil {
		root, _ = d.parse(d.syntax(source, err))
	}
	d.table(entry{}, root, reflect.ValueOf(v).Elem())
	if checker, is := v.(Checker); is && len(d.found) == 0 { // a missing key may be a mistyped one
		checker.Check(d.check)
	}
	return d.err()
}

// parse parses a file and counts its keys.
func (d *decoder) parse(text string) (root map[string]toml.Primitive, err error) {
	if isDeep(text) {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	if d.meta, err = toml.Decode(text, &root); err != nil {
		return nil, err
	}
	for i, key := range d.meta.Keys() {
		d.order[key.String()] = i
		d.further[key.String()]++
	}
	return root, nil
}

// isDeep reports whether any key, table or list exceeds maxDepth.
func isDeep(text string) bool {
	quoted := regexp.MustCompile(`#[^\n]*` +
		`|"""(?s:\\.|[^\\])*?"""+|'''(?s:.*?)'''+|"(?:\\.|[^"\\\n])*"|'[^'\n]*'`)
	brackets, dots := 0, 0
	for _, c := range quoted.ReplaceAllString(text, "") {
		switch c {
		case '[', '{':
			brackets, dots = brackets+1, 0
		case ']', '}':
			brackets--
		case '.':
			dots++
		case '=', ',', '\n':
			dots = 0
		}
		if brackets > maxDepth || dots > maxDepth {
			return true
		}
	}
	return false
}

// syntax reports a syntax error and returns the lines above it.
func (d *decoder) syntax(text string, err error) (above string) {
	var parse toml.ParseError
	if !errors.As(err, &parse) {
		d.found = append(d.found, problem{text: err.Error()})
		return ""
	}
	lines := strings.SplitAfter(text, "\n")
	line := min(parse.Position.Line, len(lines))
	message := excerpt(lines[line-1]) + ": " + printable(parse.Message)
	d.found = append(d.found, problem{order: len(text), line: line, text: message})
	return strings.Join(lines[:line-1], "")
}

// Changed returns the keys in which two structs of one type differ, such as "[flow] nat":
// those that a reload can change, and those that need a restart. An array of tables counts
// as one key.
func Changed(a, b any) (now, restart []string) {
	differences("", reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem(),
		func(key string, tag reflect.StructTag) {
			if tag.Get("restart") != "" {
				restart = append(restart, key)
			} else {
				now = append(now, key)
			}
		})
	return now, restart
}

// differences calls found with each key in which two tables differ.
func differences(table string, a, b reflect.Value, found func(key string, tag reflect.StructTag)) {
	for i := range a.NumField() {
		f := a.Type().Field(i)
		label := Label(f.Tag.Get("toml"), f.Type)
		bothEmpty := f.Type.Kind() == reflect.Slice && a.Field(i).Len()+b.Field(i).Len() == 0
		switch {
		case isTable(f.Type):
			differences(label+" ", a.Field(i), b.Field(i), found)
		case !bothEmpty && !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()):
			found(table+label, f.Tag)
		}
	}
}

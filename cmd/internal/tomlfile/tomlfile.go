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

// Decode decodes text over the values of v, a pointer to a struct. Errors begin with the file's
// name. After an error, v holds some of the values.
func Decode(name string, text []byte, v any) error {
	d := decoder{
		file: name, schema: reflect.TypeOf(v).Elem(),
		order: map[string]int{}, later: map[string]int{}, entries: map[field]entry{},
	}
	root, err := d.parse(strings.TrimPrefix(string(text), "\ufeff"))
	if err != nil {
		return err
	}
	d.table(entry{}, root, reflect.ValueOf(v).Elem())
	if checker, is := v.(Checker); is && d.wrongs == 0 { // a missing key may be a mistyped one
		checker.Check(d.check)
	}
	return d.err()
}

// parse parses a file and counts its keys.
func (d *decoder) parse(text string) (root map[string]toml.Primitive, err error) {
	if isDeep(text) {
		return nil, fmt.Errorf("%s: nested deeper than %d levels", d.file, maxDepth)
	}
	d.meta, err = toml.Decode(text, &root)
	var syntax toml.ParseError
	switch {
	case errors.As(err, &syntax):
		lines := strings.Split(text, "\n")
		line := min(syntax.Position.Line, len(lines))
		return nil, fmt.Errorf("%s:%d: %s: %s",
			d.file, line, excerpt(lines[line-1]), printable(syntax.Message))
	case err != nil:
		return nil, fmt.Errorf("%s: %s", d.file, printable(err.Error()))
	}
	for i, key := range d.meta.Keys() {
		d.later[key.String()]++
		d.order[key.String()] = i + 1
		for n := range key { // a dotted key begins its tables
			if path := key[:n].String(); d.order[path] == 0 {
				d.order[path] = i + 1
			}
		}
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

// Changed returns the keys in which two structs of one type differ, such as "[flow] nat":
// those that a reload can change, and those that need a restart. An array of tables counts
// as one key.
func Changed(a, b any) (now, restart []string) {
	return changed("", reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem())
}

// changed is Changed for a table; prefix is its label and a space.
func changed(prefix string, a, b reflect.Value) (now, restart []string) {
	for f, v := range a.Fields() {
		w := b.FieldByIndex(f.Index)
		label := prefix + Label(f.Tag.Get("toml"), f.Type)
		kind := f.Type.Kind()
		bothEmpty := (kind == reflect.Slice || kind == reflect.Map) && v.Len()+w.Len() == 0
		switch {
		case isTable(f.Type):
			n, r := changed(label+" ", v, w)
			now, restart = append(now, n...), append(restart, r...)
		case bothEmpty || reflect.DeepEqual(v.Interface(), w.Interface()):
		case f.Tag.Get("restart") != "":
			restart = append(restart, label)
		default:
			now = append(now, label)
		}
	}
	return now, restart
}

// Keep copies from one struct into another of its type the keys that a reload can't change.
func Keep(from, into any) { keep(reflect.ValueOf(from).Elem(), reflect.ValueOf(into).Elem()) }

func keep(from, into reflect.Value) {
	for f, v := range from.Fields() {
		w := into.FieldByIndex(f.Index)
		switch {
		case isTable(f.Type):
			keep(v, w)
		case f.Tag.Get("restart") != "":
			w.Set(v)
		}
	}
}

package tomlfile

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// decoder sets the fields of a struct, value by value: toml.Decode stops at the first bad
// value, ignores the case of keys, and doesn't say which element of a list is bad.
type decoder struct {
	file     string
	meta     toml.MetaData
	schema   reflect.Type
	order    map[string]int // of keys in the file, from 1
	later    map[string]int // how often a key occurs from here on: in each [[table]]
	entries  map[field]entry
	problems []error // the first maxProblems
	wrongs   int     // how many there are
}

// field is a key of a struct, or "" for all of it.
type field struct {
	table any // address
	key   string
}

// entry is a key of the file, a table, or an element of a list.
type entry struct {
	name    string // as people write it: "[[collector]] #1 address"
	table   string // how a table would be written here: "[flow]"
	key     toml.Key
	hasLine bool
	raw     toml.Primitive
	value   any
}

// entry returns the entry of a key.
func (d *decoder) entry(in entry, key string, raw toml.Primitive) entry {
	e := entry{name: key, table: "[" + key + "]", key: append(slices.Clip(in.key), key), raw: raw}
	_ = d.meta.PrimitiveDecode(raw, &e.value) // any value fits
	switch list, _ := e.value.([]any); {
	case in.name != "":
		e.name = in.name + " " + key
	case isMap(e.value):
		e.name = e.table
	case isHeaders(e.value) || len(list) > 0 && isMap(list[0]):
		e.name = "[" + e.table + "]"
	}
	d.count(&e)
	return e
}

// element returns the entry of element i of a list, which has its own line only if it is a
// [[table]], else the list's.
func (d *decoder) element(list entry, i int, raw toml.Primitive) entry {
	e := list
	e.name, e.table = fmt.Sprintf("%s #%d", list.name, i+1), "["+list.table+"]"
	e.raw, e.value = raw, nil
	_ = d.meta.PrimitiveDecode(raw, &e.value) // any value fits
	if isHeaders(list.value) && i > 0 {
		d.count(&e)
	}
	return e
}

// count counts an occurrence of a key. The library knows the line of the last one only.
func (d *decoder) count(e *entry) {
	path := e.key.String()
	d.later[path]--
	e.hasLine = d.later[path] == 0
}

func isMap(v any) bool { _, is := v.(map[string]any); return is }

// isHeaders reports whether a value was written as [[tables]].
func isHeaders(v any) bool { _, is := v.([]map[string]any); return is }

// table sets the fields of a struct, in the order of the file.
func (d *decoder) table(at entry, values map[string]toml.Primitive, s reflect.Value) {
	table := s.Addr().Interface()
	d.entries[field{table, ""}] = at
	position := func(key string) int { return d.order[append(slices.Clip(at.key), key).String()] }
	keys := slices.SortedFunc(maps.Keys(values), func(a, b string) int {
		return cmp.Or(cmp.Compare(position(a), position(b)), cmp.Compare(a, b))
	})
	for _, key := range keys {
		e := d.entry(at, key, values[key])
		d.entries[field{table, key}] = e
		if f, limits, known := fieldOf(s, key); known {
			d.value(e, f, limits)
		} else {
			d.wrong(e, "unknown key; "+advice(key, s.Type(), d.schema))
		}
	}
}

// value sets a field of any kind.
func (d *decoder) value(e entry, f reflect.Value, limits string) {
	switch t := f.Type(); {
	case t.Kind() == reflect.Slice:
		d.list(e, f, limits)
	case !isTable(t):
		if err := d.scalar(e, f, limits); err != nil {
			d.wrong(e, err.Error())
		}
	case !isMap(e.value):
		d.wrong(e, "want a table "+e.table)
	default:
		var values map[string]toml.Primitive
		_ = d.meta.PrimitiveDecode(e.raw, &values) // it is a map
		d.table(e, values, f)
	}
}

// list sets a slice, of values or of tables.
func (d *decoder) list(e entry, f reflect.Value, limits string) {
	want, elements := "want a list, such as [...]", []toml.Primitive(nil)
	if isTable(f.Type().Elem()) {
		want = "want tables [" + e.table + "]"
	}
	if d.meta.PrimitiveDecode(e.raw, &elements) != nil || elements == nil {
		d.wrong(e, want)
		return
	}
	f.Set(reflect.MakeSlice(f.Type(), len(elements), len(elements)))
	for i, raw := range elements {
		if v, is := f.Index(i).Addr().Interface().(Defaulter); is {
			v.SetDefaults()
		}
		d.value(d.element(e, i, raw), f.Index(i), limits)
	}
}

// scalar sets a field to a single value. Its error says what is allowed.
func (d *decoder) scalar(e entry, f reflect.Value, limits string) error {
	if limits != "" {
		return number(e.value, f, limits)
	}
	err := d.meta.PrimitiveDecode(e.raw, f.Addr().Interface())
	var refused toml.ParseError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused): // by UnmarshalText
		return errors.New(refused.Message)
	case f.Kind() == reflect.Map:
		return errors.New(`want a table of texts, such as { key = "value" }`)
	case f.Kind() == reflect.Bool:
		return errors.New("want true or false")
	case f.Kind() == reflect.String && !isText(f.Type()):
		return errors.New("want text in quotes")
	}
	return errors.New("want a single value")
}

// number sets a number within limits, which are compared in 64 bits on all machines.
func number(value any, f reflect.Value, limits string) error {
	low, high, _ := strings.Cut(limits, ",")
	least, _ := strconv.ParseFloat(low, 64)
	most, _ := strconv.ParseFloat(high, 64)
	kind, n := "a number", math.NaN()
	if whole, is := value.(int64); is {
		n = float64(whole)
	}
	if f.Kind() != reflect.Float64 {
		kind = "a whole number"
	} else if fraction, is := value.(float64); is {
		n = fraction
	}
	if !(n >= least && n <= most) {
		return fmt.Errorf("want %s from %s to %s", kind, low, high)
	}
	f.Set(reflect.ValueOf(n).Convert(f.Type()))
	return nil
}

// check reports what a Checker has found.
func (d *decoder) check(table any, key, text string) {
	if e, given := d.entries[field{table, key}]; given {
		d.wrong(e, text)
		return
	}
	e := d.entries[field{table, ""}]
	e.name, e.value = strings.TrimSpace(e.name+" "+key), nil
	d.wrong(e, text)
}

package tomlfile

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// decoder sets a struct's fields to what a file says. It decodes value by value, since
// toml.Decode ends at the first one that is wrong, takes keys in any case of letters, and
// can't say which element of an array of tables it is in.
type decoder struct {
	problems
	meta   toml.MetaData
	root   map[string]toml.Primitive
	schema reflect.Type
	lines  map[string]int // by path
	values map[string]toml.Primitive
	tables map[any]place // by the address of the struct
}

// table sets the fields of a struct.
func (d *decoder) table(at place, values map[string]toml.Primitive, s reflect.Value) {
	d.tables[s.Addr().Interface()] = at
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value, key := values[name], place{table: at.path(), key: name}
		d.values[key.path()] = value
		if field, limits, known := fieldOf(s, name); known {
			d.value(key, value, field, limits)
		} else {
			d.unknown(key, value, s.Type())
		}
	}
}

// value sets a field of any kind.
func (d *decoder) value(at place, value toml.Primitive, field reflect.Value, limits string) {
	t := field.Type()
	if isTable(t) {
		var values map[string]toml.Primitive
		if err := d.meta.PrimitiveDecode(value, &values); err != nil || values == nil {
			label := Label(at.key, t)
			if at.index != "" {
				label = "[" + label + "]"
			}
			d.wrong(at, value, func() string { return "want a table " + label })
			return
		}
		d.table(at, values, field)
		return
	}
	if t.Kind() == reflect.Slice {
		d.list(at, value, field, limits)
		return
	}
	if err := d.scalar(value, field, limits); err != nil {
		d.wrong(at, value, err.Error)
	}
}

// list sets a slice, of values or of tables.
func (d *decoder) list(at place, value toml.Primitive, field reflect.Value, limits string) {
	var elements []toml.Primitive
	if err := d.meta.PrimitiveDecode(value, &elements); err != nil || elements == nil {
		d.wrong(at, value, func() string {
			if isArrayOfTables(field.Type()) {
				return "want tables " + Label(at.key, field.Type())
			}
			return "want a list, such as [...]"
		})
		return
	}
	field.Set(reflect.MakeSlice(field.Type(), len(elements), len(elements)))
	for i, element := range elements {
		if v, is := field.Index(i).Addr().Interface().(Defaulter); is {
			v.SetDefaults()
		}
		d.value(at.element(i), element, field.Index(i), limits)
	}
}

// scalar sets a field to a single value. Its error says what is wanted.
func (d *decoder) scalar(value toml.Primitive, field reflect.Value, limits string) error {
	if limits != "" {
		return d.number(value, field, limits)
	}
	err := d.meta.PrimitiveDecode(value, field.Addr().Interface())
	var refused toml.ParseError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return errors.New(refused.Message)
	case field.Kind() == reflect.Bool:
		return errors.New("want true or false")
	case field.Kind() == reflect.String && !isText(field.Type()):
		return errors.New("want text in quotes")
	}
	return errors.New("want a single value")
}

// number sets a number within limits. It decodes into 64 bits: a number that is too large
// for an int isn't refused by PrimitiveDecode where an int has 32.
func (d *decoder) number(value toml.Primitive, field reflect.Value, limits string) error {
	low, high, _ := strings.Cut(limits, ",")
	least, _ := strconv.ParseFloat(low, 64)
	most, _ := strconv.ParseFloat(high, 64)
	if field.Kind() == reflect.Float64 {
		var n float64
		if err := d.meta.PrimitiveDecode(value, &n); err != nil || !(n >= least && n <= most) {
			return fmt.Errorf("want a number from %s to %s", low, high)
		}
		field.SetFloat(n)
		return nil
	}
	var n int64
	if err := d.meta.PrimitiveDecode(value, &n); err != nil || n < int64(least) || n > int64(most) {
		return fmt.Errorf("want a whole number from %s to %s", low, high)
	}
	if field.CanInt() {
		field.SetInt(n)
	} else {
		field.SetUint(uint64(n))
	}
	return nil
}

// unknown reports a key that a table hasn't.
func (d *decoder) unknown(at place, value toml.Primitive, table reflect.Type) {
	d.wrong(at, value, func() string { return "unknown key; " + advice(at.key, table, d.schema) })
}

// check reports what the whole is wrong with, as Checker does.
func (d *decoder) check(table any, key, text string) {
	at := place{table: d.tables[table].path(), key: key}
	if value, given := d.values[at.path()]; given {
		d.wrong(at, value, func() string { return text })
		return
	}
	d.add(d.line(at), func() string { return at.String() + ": " + text })
}

// wrong reports a value, or a key.
func (d *decoder) wrong(at place, value toml.Primitive, text func() string) {
	d.add(d.line(at), func() string {
		where := at.String()
		var v any
		_ = d.meta.PrimitiveDecode(value, &v) // can't fail
		switch v.(type) {
		case map[string]any:
			where = tableLabel(at.path())
		case []map[string]any:
			where = "[" + tableLabel(at.path()) + "]"
		}
		return excerpt(where) + literal(v) + ": " + text()
	})
}

// line returns that of a place, else of what it is in.
func (d *decoder) line(at place) int {
	for _, path := range []string{at.path(), place{table: at.table, key: at.key}.path(), at.table} {
		if line, known := d.lines[path]; known {
			return line
		}
	}
	return 1
}

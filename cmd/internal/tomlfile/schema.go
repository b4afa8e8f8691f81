package tomlfile

import (
	"encoding"
	"reflect"
	"slices"
	"strings"

	"github.com/conntally/conntally/cmd/internal/suggest"
)

// isTable reports whether a type is a table: a struct that isn't a value.
func isTable(t reflect.Type) bool { return t.Kind() == reflect.Struct && !isText(t) }

// isArrayOfTables reports whether a type is a [[table]].
func isArrayOfTables(t reflect.Type) bool { return t.Kind() == reflect.Slice && isTable(t.Elem()) }

func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// fieldOf returns the field of a key, and its limits if it is a number.
func fieldOf(s reflect.Value, key string) (f reflect.Value, limits string, known bool) {
	for sf, v := range s.Fields() {
		if sf.Tag.Get("toml") == key {
			return v, sf.Tag.Get("range"), true
		}
	}
	return reflect.Value{}, "", false
}

// Label returns a key as people write it: [table], [[array of tables]] or key.
func Label(key string, t reflect.Type) string {
	switch {
	case isTable(t):
		return "[" + key + "]"
	case isArrayOfTables(t):
		return "[[" + key + "]]"
	}
	return key
}

// keysOf lists the keys of a table, and their labels.
func keysOf(table reflect.Type) (keys, labels []string) {
	for f := range table.Fields() {
		keys = append(keys, f.Tag.Get("toml"))
		labels = append(labels, Label(f.Tag.Get("toml"), f.Type))
	}
	return keys, labels
}

// advice suggests the keys of a table instead of an unknown one.
func advice(key string, table, schema reflect.Type) string {
	keys, labels := keysOf(table)
	want := "want one of " + strings.Join(labels, ", ")
	if i := slices.Index(keys, suggest.Closest(key, keys)); i >= 0 {
		return "did you mean " + labels[i] + "? " + want
	}
	for f := range schema.Fields() { // a key of another table
		other := f.Type
		if isArrayOfTables(other) {
			other = other.Elem()
		}
		if !isTable(other) {
			continue
		}
		if keys, _ := keysOf(other); slices.Contains(keys, key) {
			return "did you mean " + Label(f.Tag.Get("toml"), f.Type) + " " + key + "? " + want
		}
	}
	return want
}

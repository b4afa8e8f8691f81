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

// keysOf lists the keys of a table.
func keysOf(table reflect.Type) []string {
	var keys []string
	for f := range table.Fields() {
		keys = append(keys, f.Tag.Get("toml"))
	}
	return keys
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

// advice suggests the keys of a table instead of an unknown one.
func advice(key string, table, schema reflect.Type) string {
	var labels []string
	for f := range table.Fields() {
		labels = append(labels, Label(f.Tag.Get("toml"), f.Type))
	}
	meant := tableWith(schema, key)
	if i := slices.Index(keysOf(table), suggest.Closest(key, keysOf(table))); i >= 0 {
		meant = labels[i]
	} else if meant != "" {
		meant += " " + key
	}
	if meant != "" {
		meant = "did you mean " + meant + "? "
	}
	return meant + "want one of " + strings.Join(labels, ", ")
}

// tableWith returns the label of a table that has a key, or "".
func tableWith(schema reflect.Type, key string) string {
	for f := range schema.Fields() {
		inner := f.Type
		if isArrayOfTables(inner) {
			inner = inner.Elem()
		}
		if isTable(inner) && slices.Contains(keysOf(inner), key) {
			return Label(f.Tag.Get("toml"), f.Type)
		}
	}
	return ""
}

package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// section is a table of the file: a struct whose fields are its keys.
type section struct {
	label  string // as people write it: [flow]
	line   int
	value  func() reflect.Value // the elements of a list move while it grows
	keys   map[string]given
	tables map[string]*section
}

// given is a key as the file has it.
type given struct {
	line int
	text string
}

func (r *reader) section(label string, line int, value func() reflect.Value) *section {
	s := &section{label: label, line: line, value: value, keys: map[string]given{}, tables: map[string]*section{}}
	r.sections = append(r.sections, s)
	return s
}

// field returns the field of a key, and its tag range.
func (s *section) field(key string) (v reflect.Value, limits string, known bool) {
	v = s.value()
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag; tag.Get("toml") == key {
			return v.Field(i), tag.Get("range"), true
		}
	}
	return v, "", false
}

// names lists all that may stand in a section.
func (s *section) names() string {
	var names []string
	for f := range s.value().Type().Fields() {
		names = append(names, label(f.Tag.Get("toml"), f.Type))
	}
	return strings.Join(names, ", ")
}

// label returns how people write a key or a table.
func label(name string, t reflect.Type) string {
	switch {
	case isTable(t):
		return "[" + name + "]"
	case isList(t):
		return "[[" + name + "]]"
	}
	return name
}

// header begins a section where a [table] or [[table]] stands. It returns nil where
// there is none of that name.
func (r *reader) header(root *section, e *unstable.Node) *section {
	names, line := r.key(e)
	written := "[" + strings.Join(names, ".") + "]"
	if e.Kind == unstable.ArrayTable {
		written = "[" + written + "]"
	}
	field, _, known := root.field(names[0])
	if !known || len(names) > 1 || written != label(names[0], field.Type()) {
		r.add(line, fmt.Sprintf("%s: unknown table; want one of %s", excerpt(written), root.names()))
		return nil
	}
	if e.Kind == unstable.ArrayTable {
		return r.element(root, names[0], line)
	}
	if first, again := root.tables[names[0]]; again {
		r.add(line, fmt.Sprintf("%s: again, it begins in line %d already", written, first.line))
		return nil
	}
	return r.table(root, names[0], line)
}

// table returns the section of a table, which may have begun before.
func (r *reader) table(parent *section, name string, line int) *section {
	if s, began := parent.tables[name]; began {
		return s
	}
	field, _, _ := parent.field(name)
	s := r.section(label(name, field.Type()), line, func() reflect.Value { return field })
	parent.tables[name] = s
	return s
}

// element begins a further section of a list of tables.
func (r *reader) element(parent *section, name string, line int) *section {
	list, _, _ := parent.field(name)
	if before, given := parent.keys[name]; given {
		r.add(line, fmt.Sprintf("[[%s]]: again, line %d has all of them", name, before.line))
		return nil
	}
	i := list.Len()
	list.Set(reflect.Append(list, defaults(list.Type().Elem())))
	return r.section(fmt.Sprintf("[[%s]] #%d", name, i+1), line, func() reflect.Value { return list.Index(i) })
}

// defaults returns what an element of a list is without any key.
func defaults(t reflect.Type) reflect.Value {
	if t == reflect.TypeFor[Collector]() {
		return reflect.ValueOf(NewCollector(""))
	}
	return reflect.Zero(t)
}

package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// isTable tells a struct of keys from one that is a value.
func isTable(t reflect.Type) bool { return t.Kind() == reflect.Struct && !isText(t) }

// isList tells a list of tables from one of values.
func isList(t reflect.Type) bool { return t.Kind() == reflect.Slice && isTable(t.Elem()) }

func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// set takes a line "key = value" over.
func (r *reader) set(s *section, e *unstable.Node) {
	if s == nil { // its header is reported
		return
	}
	names, line := r.key(e)
	for len(names) > 1 { // table.key = value
		field, _, known := s.field(names[0])
		if !known || !isTable(field.Type()) {
			break
		}
		s, names = r.table(s, names[0], line), names[1:]
	}
	name, now := strings.Join(names, "."), given{line, r.text(e)}
	field, limits, known := s.field(name)
	if !known {
		r.wrong(s, name, now, "unknown key; want one of "+s.names())
		return
	}
	if before, again := s.keys[name]; again {
		r.wrong(s, name, now, fmt.Sprintf("again, line %d has it already", before.line))
		return
	}
	s.keys[name] = now
	r.value(s, name, field, limits, e.Value())
}

// value sets a field to a value of any kind.
func (r *reader) value(s *section, name string, field reflect.Value, limits string, v *unstable.Node) {
	t := field.Type()
	switch {
	case isTable(t):
		r.inline(s, name, v)
	case isList(t):
		r.list(s, name, v)
	case t.Kind() == reflect.Slice:
		r.values(s, name, field, limits, v)
	default:
		if err := scalar(field, limits, v); err != nil {
			r.wrong(s, name, s.keys[name], err.Error())
		}
	}
}

// inline takes { key = value, ... } for a table.
func (r *reader) inline(parent *section, name string, v *unstable.Node) {
	if _, again := parent.tables[name]; again || v.Kind != unstable.InlineTable {
		r.wrong(parent, name, parent.keys[name], "want a table ["+name+"], once")
		return
	}
	s := r.table(parent, name, parent.keys[name].line)
	for it := v.Children(); it.Next(); {
		r.set(s, it.Node())
	}
}

// list takes [{ key = value, ... }, ...] for a list of tables.
func (r *reader) list(parent *section, name string, v *unstable.Node) {
	now := parent.keys[name]
	field, _, _ := parent.field(name)
	if field.Len() > 0 || v.Kind != unstable.Array {
		r.wrong(parent, name, now, "want tables [["+name+"]]")
		return
	}
	delete(parent.keys, name) // until all elements are in
	for it := v.Children(); it.Next(); {
		if it.Node().Kind != unstable.InlineTable {
			r.wrong(parent, name, now, "want tables [["+name+"]]")
			break
		}
		s := r.element(parent, name, now.line)
		for keys := it.Node().Children(); keys.Next(); {
			r.set(s, keys.Node())
		}
	}
	parent.keys[name] = now
}

// values takes a list of values. The first wrong one is reported with its own line.
func (r *reader) values(s *section, name string, field reflect.Value, limits string, v *unstable.Node) {
	now := s.keys[name]
	if v.Kind != unstable.Array {
		r.wrong(s, name, now, "want a list, such as [...]")
		return
	}
	list := reflect.MakeSlice(field.Type(), 0, 0)
	for it := v.Children(); it.Next(); {
		element := reflect.New(field.Type().Elem()).Elem()
		if err := scalar(element, limits, it.Node()); err != nil {
			raw := it.Node().Raw
			r.wrong(s, name, given{r.line(int(raw.Offset)), string(r.toml.Raw(raw))}, err.Error())
			return
		}
		list = reflect.Append(list, element)
	}
	field.Set(list)
}

// scalar sets a field to a single value. Its error says what is wanted.
func scalar(field reflect.Value, limits string, v *unstable.Node) error {
	if v.Kind == unstable.Array || v.Kind == unstable.InlineTable {
		return errors.New("want a single value")
	}
	if isText(field.Type()) {
		return field.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(v.Data)
	}
	switch field.Kind() {
	case reflect.Bool:
		field.SetBool(string(v.Data) == "true")
		return want(v.Kind == unstable.Bool, "want true or false")
	case reflect.String:
		field.SetString(string(v.Data))
		return want(v.Kind == unstable.String, "want text in quotes")
	}
	return number(field, limits, v)
}

// number sets a number within limits, which are "LOW,HIGH".
func number(field reflect.Value, limits string, v *unstable.Node) error {
	low, high, _ := strings.Cut(limits, ",")
	least, _ := strconv.ParseFloat(low, 64)
	most, _ := strconv.ParseFloat(high, 64)
	if field.Kind() == reflect.Float64 {
		n, err := strconv.ParseFloat(strings.ReplaceAll(string(v.Data), "_", ""), 64)
		field.SetFloat(n)
		return want(isNumber(v) && err == nil && n >= least && n <= most, "want a number from "+low+" to "+high)
	}
	n, err := strconv.ParseInt(string(v.Data), 0, 64)
	fits := v.Kind == unstable.Integer && err == nil && n >= int64(least) && n <= int64(most)
	switch {
	case fits && field.CanInt():
		field.SetInt(n)
	case fits:
		field.SetUint(uint64(n))
	}
	return want(fits, "want a whole number from "+low+" to "+high)
}

func isNumber(v *unstable.Node) bool { return v.Kind == unstable.Integer || v.Kind == unstable.Float }

func want(ok bool, what string) error {
	if ok {
		return nil
	}
	return errors.New(what)
}

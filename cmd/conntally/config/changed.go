package config

import "reflect"

// Changed returns the keys in which c and d differ, such as "[flow] nat": those that a
// reload can change, and those that need a restart.
func (c *Config) Changed(d *Config) (now, restart []string) {
	differences("", reflect.ValueOf(c).Elem(), reflect.ValueOf(d).Elem(), func(key string, tag reflect.StructTag) {
		if tag.Get("restart") != "" {
			restart = append(restart, key)
		} else {
			now = append(now, key)
		}
	})
	return now, restart
}

// differences calls found with each key in which two tables differ. A list of tables
// counts as one.
func differences(table string, a, b reflect.Value, found func(key string, tag reflect.StructTag)) {
	for i := range a.NumField() {
		f := a.Type().Field(i)
		name := label(f.Tag.Get("toml"), f.Type)
		switch {
		case isTable(f.Type):
			differences(name+" ", a.Field(i), b.Field(i), found)
		case !alike(a.Field(i), b.Field(i)):
			found(table+name, f.Tag)
		}
	}
}

func alike(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

package tomlfile

import "reflect"

// Changed returns the keys in which two structs of one type differ, such as "[flow] nat":
// those that a reload can change, and those that need a restart.
func Changed(a, b any) (now, restart []string) {
	differences("", reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem(), func(key string, tag reflect.StructTag) {
		if tag.Get("restart") != "" {
			restart = append(restart, key)
		} else {
			now = append(now, key)
		}
	})
	return now, restart
}

// differences calls found with each key in which two tables differ. An array of tables
// counts as one.
func differences(table string, a, b reflect.Value, found func(key string, tag reflect.StructTag)) {
	for i := range a.NumField() {
		f := a.Type().Field(i)
		label := Label(f.Tag.Get("toml"), f.Type)
		switch {
		case isTable(f.Type):
			differences(label+" ", a.Field(i), b.Field(i), found)
		case !equal(a.Field(i), b.Field(i)):
			found(table+label, f.Tag)
		}
	}
}

func equal(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestChanged(t *testing.T) {
	for _, c := range []struct {
		a, b         string
		now, restart []string
	}{
		{"", "flow.extra_fields = []\nlog.level = \"info\"", nil, nil},
		{"", "[flow]\nnat = \"wire\"\nbiflow = true", []string{"[flow] nat"},
			[]string{"[flow] biflow"}},
		{"[[collector]]\naddress = \"a:1\"",
			"[[collector]]\naddress = \"a:1\"\nsource = \"192.0.2.1\"", []string{"[[collector]]"},
			nil},
		{"[[collector]]\naddress = \"a:1\"", "[[collector]]\naddress = \"a:1\"\nsource = \"\"", nil,
			nil},
		{"[[filter]]\naction = \"exclude\"\nmarks = [1]",
			"[[filter]]\naction = \"exclude\"\nmarks = [2]", []string{"[[filter]]"}, nil},
		{"[conntrack]\npoll_interval = \"5s\"\ntrack = true", "[metrics]\nlisten = \":1\"",
			[]string{"[conntrack] poll_interval"},
			[]string{"[conntrack] track", "[metrics] listen"}},
	} {
		now, restart := mustParse(t, c.a).Changed(mustParse(t, c.b))
		if !reflect.DeepEqual(now, c.now) || !reflect.DeepEqual(restart, c.restart) {
			t.Errorf("%q and %q: %q %q", c.a, c.b, now, restart)
		}
		running, next := mustParse(t, c.a), mustParse(t, c.b)
		next.Keep(running)
		now, restart = running.Changed(next)
		if !reflect.DeepEqual(now, c.now) || len(restart) > 0 {
			t.Errorf("%q kept from %q: %q %q", c.b, c.a, now, restart)
		}
	}
}

// The documentation names all keys that need a restart, by table, and no others.
func TestRestartIsDocumented(t *testing.T) {
	var want []string
	for table := range reflect.TypeFor[Config]().Fields() {
		name := "[" + table.Tag.Get("toml") + "] "
		for table.Type.Kind() == reflect.Slice {
			table.Type = table.Type.Elem()
		}
		for key := range table.Type.Fields() {
			if key.Tag.Get("restart") != "" {
				want = append(want, name+key.Tag.Get("toml"))
			}
		}
	}
	_, text, _ := strings.Cut(read(t, documentation), "<!-- restart -->\n")
	text, _, _ = strings.Cut(text, "\n\n")
	var got []string
	for line := range strings.Lines(text) {
		spans := strings.Split(line, "`") // the table, then its keys, each after what is no code
		for i := 3; i < len(spans); i += 2 {
			got = append(got, spans[1]+" "+spans[i])
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("documented %q, want %q", got, want)
	}
}

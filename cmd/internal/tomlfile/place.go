package tomlfile

import (
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// place is where in a file a value is.
type place struct {
	table string // path of the table: "", "flow", "collector[0]"
	key   string // in the table, or "" for the table itself
	index string // of an element of a list: "", "[0]"
}

func (p place) element(i int) place {
	p.index = indexed(i)
	return p
}

// path is the key of maps.
func (p place) path() string { return join(p.table, p.key) + p.index }

func join(table, key string) string {
	if table == "" || key == "" {
		return table + key
	}
	return table + "." + key
}

// String returns the place as people write it, such as "[[collector]] #1 address".
func (p place) String() string {
	return strings.TrimSpace(tableLabel(p.table) + " " + p.key)
}

// tableLabel makes "[[a.b]] #2" of "a[4].b[1]", and "[a]" of "a".
func tableLabel(path string) string {
	name, index := "", ""
	for i, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '[' || r == ']' }) {
		if i%2 == 0 {
			name, index = name+part, ""
		} else {
			index = part
		}
	}
	if i, err := strconv.Atoi(index); err == nil {
		return "[[" + name + "]] #" + strconv.Itoa(i+1)
	}
	if name == "" {
		return ""
	}
	return "[" + name + "]"
}

// locator finds the lines of everything in a file. The library knows the order of all
// keys, but the line only of the last one of a name, and none of elements of lists.
type locator struct {
	lines map[string]int // by path
	count map[string]int // elements of lists so far, by path
	lists [maxDepth + 1]string
}

// locate returns lines by path.
func locate(marks []mark, meta *toml.MetaData) map[string]int {
	l := locator{lines: map[string]int{}, count: map[string]int{}}
	keys := meta.Keys()
	for _, m := range marks {
		switch {
		case m.kind == element:
			l.element(l.lists[m.depth-1], m.line)
			continue
		case len(keys) == 0: // there is a mark for each of them
			return l.lines
		}
		path := l.key(keys[0], m.line)
		keys = keys[1:]
		l.lists[m.depth] = path
		if m.kind == arrayHeader {
			l.element(path, m.line)
		}
	}
	return l.lines
}

// key notes the line of a key, and of tables that begin with it, and returns its path: in
// that element of each array which is the last so far.
func (l *locator) key(key toml.Key, line int) (path string) {
	for i, name := range key {
		path = join(path, name)
		l.set(path, line)
		if n := l.count[path]; n > 0 && i < len(key)-1 {
			path += indexed(n - 1)
		}
	}
	return path
}

func (l *locator) element(list string, line int) {
	l.set(list+indexed(l.count[list]), line)
	l.count[list]++
}

func (l *locator) set(path string, line int) {
	if _, known := l.lines[path]; !known {
		l.lines[path] = line
	}
}

func indexed(i int) string { return "[" + strconv.Itoa(i) + "]" }

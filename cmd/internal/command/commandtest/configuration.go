package commandtest

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/conntally/conntally/cmd/internal/tomlfile"
)

// Configuration is the file that a program reads, for its manual page in section 5.
type Configuration struct {
	Reference string // path of the file with every key, its default and a comment
	Schema    any    // a struct that tomlfile decodes it into
	// What stands before the keys and behind them, in man(7).
	Head, Tail string
}

// table is a table of the reference, and key a key in it.
type table struct {
	header, about string
	keys          []key
}

type key struct {
	name, value, about string
	restart            bool // a reload can't change it
}

var (
	headerLine = regexp.MustCompile(`^#?(\[+[a-z]+\]+)$`)
	keyLine    = regexp.MustCompile(`^#?([a-z_]+) += (.*?\S) +# (.+)$`)
)

// tables reads the reference. A comment right before a table's header is about the table.
func (c *Configuration) tables(t *testing.T) (all []table) {
	t.Helper()
	b, err := os.ReadFile(c.Reference)
	if err != nil {
		t.Fatal(err)
	}
	restart := c.restarts()
	var about []string
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		comment, isComment := strings.CutPrefix(line, "# ")
		header, k := headerLine.FindStringSubmatch(line), keyLine.FindStringSubmatch(line)
		switch {
		case isComment:
			about = append(about, comment)
		case line == "":
			about = nil
		case header != nil:
			all = append(all, table{header: header[1], about: strings.Join(about, " ")})
		case k != nil && len(all) > 0:
			last := &all[len(all)-1]
			last.keys = append(last.keys, key{k[1], k[2], k[3], restart[last.header+k[1]]})
		default:
			t.Fatalf("%s: %q is neither table, key nor comment", c.Reference, line)
		}
	}
	return all
}

// restarts returns the keys that a reload can't change, each after its table's header.
func (c *Configuration) restarts() map[string]bool {
	found := make(map[string]bool)
	for f := range reflect.TypeOf(c.Schema).Fields() {
		header, table := tomlfile.Label(f.Tag.Get("toml"), f.Type), f.Type
		if table.Kind() == reflect.Slice {
			table = table.Elem()
		}
		for k := range table.Fields() {
			found[header+k.Tag.Get("toml")] = k.Tag.Get("restart") != ""
		}
	}
	return found
}

// manual is a page of section 5 in man(7).
func (c *Configuration) manual(t *testing.T, made string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `.\" %s%s`, made, c.Head)
	for _, table := range c.tables(t) {
		fmt.Fprintf(&b, ".SS %s\n", roff(table.header))
		if table.about != "" {
			fmt.Fprintf(&b, "%s\n", filled(sentence(table.about)))
		}
		for _, k := range table.keys {
			about := sentence(k.about)
			if k.restart {
				about += " A change takes effect at a restart."
			}
			fmt.Fprintf(&b, ".TP\n%s = %s\n%s\n", bold(k.name), italic(k.value), filled(about))
		}
	}
	fmt.Fprint(&b, c.Tail)
	return b.String()
}

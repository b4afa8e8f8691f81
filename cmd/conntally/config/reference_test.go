package config

import (
	"encoding"
	"flag"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/conntally/conntally/cmd/internal/tomlfile"
)

//go:generate go test -run ^TestDocumented$ -update .

var update = flag.Bool("update", false, "write the documentation")

const documentation = "../../../docs/configuration.md"

func reference(t *testing.T) string { return read(t, "reference.toml") }

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// whole is the reference with its examples.
func whole(t *testing.T) string {
	t.Helper()
	return regexp.MustCompile(`(?m)^#(\S)`).ReplaceAllString(reference(t), "$1")
}

func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	c := Default()
	if err := tomlfile.Decode("test.toml", []byte(text), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestReferenceHoldsTheDefaults(t *testing.T) {
	got, want := mustParse(t, reference(t)), Default()
	if !reflect.DeepEqual(normal(got), normal(want)) {
		t.Errorf("the reference says\n%+v, the defaults are\n%+v", got, want)
	}
	c := mustParse(t, whole(t)).Collectors[0]
	if c != NewCollector("192.0.2.10:2055") {
		t.Errorf("the reference's collector is not as by default: %+v", c)
	}
}

// normal replaces lists without elements by nil.
func normal(c *Config) *Config {
	if len(c.Flow.ExtraFields) == 0 {
		c.Flow.ExtraFields = nil
	}
	if len(c.Devices.Networks)+len(c.Devices.Exclude) == 0 {
		c.Devices.Networks, c.Devices.Exclude = nil, nil
	}
	if len(c.Metrics.Labels) == 0 {
		c.Metrics.Labels = nil
	}
	return c
}

// Every key, each once, with a comment on its line.
func TestReferenceIsComplete(t *testing.T) {
	var keys func(table string, s reflect.Type)
	keys = func(table string, s reflect.Type) {
		for f := range s.Fields() {
			name := f.Tag.Get("toml")
			if name == "" {
				t.Errorf("%s.%s has no key", s, f.Name)
			}
			switch label := tomlfile.Label(name, f.Type); {
			case strings.HasPrefix(label, "[["):
				keys(label, f.Type.Elem())
			case strings.HasPrefix(label, "["):
				keys(label, f.Type)
			default:
				line := regexp.MustCompile(`(?m)^` + name + ` +=.*\S +# \S.*$`)
				if n := len(line.FindAllString(tableOf(whole(t), table), -1)); n != 1 {
					t.Errorf("%d lines for %s %s", n, table, name)
				}
			}
		}
	}
	keys("", reflect.TypeFor[Config]())
	mustParse(t, whole(t)) // has no key besides
}

// tableOf returns the part of a file below a header.
func tableOf(text, header string) string {
	_, below, _ := strings.Cut(text, "\n"+header+"\n")
	below, _, _ = strings.Cut(below, "\n[")
	return below
}

// The documentation has the present reference.
func TestDocumented(t *testing.T) {
	text := read(t, documentation)
	before, rest, _ := strings.Cut(text, "```toml\n")
	_, after, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatalf("%s has no place for the reference", documentation)
	}
	want := before + "```toml\n" + reference(t) + "```\n" + after
	if *update {
		if err := os.WriteFile(documentation, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if text != want {
		t.Errorf("%s isn't current: run go generate ./cmd/conntally/config", documentation)
	}
}

// All TOML in the documentation is valid.
func TestExamplesAreGood(t *testing.T) {
	blocks := strings.Split(read(t, documentation), "```toml\n")[1:]
	if len(blocks) < 2 {
		t.Errorf("%d examples", len(blocks))
	}
	for _, block := range blocks {
		text, _, _ := strings.Cut(block, "```\n")
		mustParse(t, text)
	}
}

// Every value that a key allows fits into its type, even if an int has 32 bits.
func TestLimitsFitTheTypes(t *testing.T) {
	bits := map[reflect.Kind]int{reflect.Int: 31, reflect.Int64: 63, reflect.Uint16: 16,
		reflect.Uint32: 32}
	for table := range reflect.TypeFor[Config]().Fields() {
		if table.Type.Kind() == reflect.Slice {
			table.Type = table.Type.Elem()
		}
		for key := range table.Type.Fields() {
			name, kind := key.Tag.Get("toml"), key.Type.Kind()
			if kind == reflect.Slice {
				kind = key.Type.Elem().Kind()
			}
			limits := key.Tag.Get("range")
			text := reflect.TypeFor[encoding.TextUnmarshaler]()
			isText := reflect.PointerTo(key.Type).Implements(text)
			n, isWhole := bits[kind]
			if _, high, _ := strings.Cut(limits, ","); isWhole && limits != "" {
				if most, err := strconv.ParseUint(high, 10, 64); err != nil || most >= 1<<n {
					t.Errorf("%s allows %s", name, high)
				}
			}
			if isNumber := isWhole || kind == reflect.Float64; isNumber && !isText &&
				limits == "" && key.Type.Kind() != reflect.Slice {
				t.Errorf("%s has no limits", name)
			}
		}
	}
}

// The largest size is the same one in 32 bits.
func TestLargestSize(t *testing.T) {
	for text, want := range map[string]int64{
		"1024MiB": 1 << 30, "1048576KiB": 1 << 30, "1073741824": 1 << 30,
		"1025MiB": 0, "1048577KiB": 0, "1073741825": 0, "4294967297": 0, "4096MiB": 0,
		"4194305KiB": 0, "99999999999999999999KiB": 0,
	} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); int64(s) != want || (err == nil) != (want > 0) {
			t.Errorf("%s: got %d, %v, want %d", text, s, err, want)
		}
	}
}

package tomlfile

import (
	"fmt"
	"github.com/BurntSushi/toml"
	"reflect"
	"slices"
	"testing"
	"unicode"

	"errors"
	"strings"
)

// file is a schema with everything that there can be.
type file struct {
	Flow       flow        `toml:"flow"`
	Collectors []collector `toml:"collector"`
	Name       string      `toml:"name"`
}

type flow struct {
	NAT    word    `toml:"nat"`
	Flows  int     `toml:"max_flows" range:"0,2000000000"`
	CPU    float64 `toml:"max_cpu" range:"0.01,100"`
	Biflow bool    `toml:"biflow" restart:"yes"`
	Mark   mask    `toml:"mark"`
}

type collector struct {
	Address word     `toml:"address"`
	Ports   []uint16 `toml:"ports" range:"1,65535"`
	Words   []word   `toml:"words"`
	Inner   inner    `toml:"inner"`
	Size    int      `toml:"size" range:"1,9"`
}

type inner struct {
	Deep bool `toml:"deep"`
}

// SetDefaults implements Defaulter.
func (c *collector) SetDefaults() { c.Size = 5 }

// Check implements Checker.
func (f *file) Check(wrong func(table any, key, text string)) {
	for i := range f.Collectors {
		if c := &f.Collectors[i]; c.Address == "" {
			wrong(c, "address", "is missing")
		} else if c.Address == "twice" {
			wrong(c, "address", "named twice")
		}
	}
}

// word is a string of letters.
type word string

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *word) UnmarshalText(b []byte) error {
	if strings.Trim(string(b), "abcdefghijklmnopqrstuvwxyz") != "" {
		return errors.New("want letters")
	}
	*w = word(b)
	return nil
}

// mask is a struct that is a value.
type mask struct{ text string }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *mask) UnmarshalText(b []byte) error {
	m.text = string(b)
	return nil
}

// All that is wrong is reported at once, each with its line, in their order.
func TestProblems(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"name = 'a'\n[flow]\nmax_flows = 7\n[[collector]]\naddress = 'a'\nports = [1, 2]\n", ""},
		{"nam = 'a'\n[flow]\nnaat = 1\nmax_flows = -1\nbiflow = 0\n[[collector]]\naddress = 'A'\nport = 1\n[flows]\n",
			"1: nam = \"a\": unknown key; did you mean name? want one of [flow], [[collector]], name\n" +
				"3: [flow] naat = 1: unknown key; did you mean nat? want one of nat, max_flows, max_cpu, biflow, mark\n" +
				"4: [flow] max_flows = -1: want a whole number from 0 to 2000000000\n" +
				"5: [flow] biflow = 0: want true or false\n" +
				"7: [[collector]] #1 address = \"A\": want letters\n" +
				"8: [[collector]] #1 port = 1: unknown key; did you mean ports? want one of address, ports, words, [inner], size\n" +
				"9: [flows]: unknown key; did you mean [flow]? want one of [flow], [[collector]], name\n"},

		// Each element has lines of its own, however it is written.
		{"[[collector]]\naddress = '1'\nports = [\n1,\n'x', # ]\n2, 0]\n[[collector]]\n\naddress = '2'\n",
			"2: [[collector]] #1 address = \"1\": want letters\n" +
				"5: [[collector]] #1 ports = \"x\": want a whole number from 1 to 65535\n" +
				"6: [[collector]] #1 ports = 0: want a whole number from 1 to 65535\n" +
				"9: [[collector]] #2 address = \"2\": want letters\n"},
		{"collector = [\n{ address = '1' },\n{ words = ['a', 'b',\n'3'], size = 10,\naddress = '2'\n}]",
			"2: [[collector]] #1 address = \"1\": want letters\n" +
				"4: [[collector]] #2 size = 10: want a whole number from 1 to 9\n" +
				"4: [[collector]] #2 words = \"3\": want letters\n" +
				"5: [[collector]] #2 address = \"2\": want letters\n"},
		{"[[collector]]\naddress = 'a'\n[collector.inner]\ndeep = 1\n[[collector]]\naddress = 'b'\ninner.deep = 2",
			"4: [collector.inner] deep = 1: want true or false\n" +
				"7: [collector.inner] deep = 2: want true or false\n"},
		{"[[collector]]\naddress = 'a'\n\n[[collector]]\nsize = 1", "4: [[collector]] #2 address: is missing\n"},
		{"collector = [{ address = 'a' },\n{ size = 1 }]", "2: [[collector]] #2 address: is missing\n"},
		{"[[collector]]\naddress = 'a'\n[[collector]]\nsize = 1\naddress = 'twice'",
			"5: [[collector]] #2 address = \"twice\": named twice\n"},

		// What looks like a key, a list or the end of one in texts and comments.
		{"name = '''\n[flow]\nnat = [ '''\n[flow] # [a=[b\n\"nat\" = \"=\\\"=[\" # ]]\nmark = \"\"\"\n\"\"\"\"\"\nmax_flows = \"'\"",
			"5: [flow] nat = \"=\\\"=[\": want letters\n" +
				"8: [flow] max_flows = \"'\": want a whole number from 0 to 2000000000\n"},

		// Kinds.
		{"flow = 1\ncollector = 1", "1: flow = 1: want a table [flow]\n2: collector = 1: want tables [[collector]]\n"},
		{"[[flow]]\n[collector]", "1: [[flow]]: want a table [flow]\n2: [collector]: want tables [[collector]]\n"},
		{"collector = [[]]", "1: collector = []: want a table [[collector]]\n"},
		{"name = 1\nflow.nat = []\nflow.mark = {}", "1: name = 1: want text in quotes\n2: [flow] nat = []: want a single value\n3: [flow.mark]: want a single value\n"},
		{"[[collector]]\nports = 1\nwords = 'a'", "2: [[collector]] #1 ports = 1: want a list, such as [...]\n3: [[collector]] #1 words = \"a\": want a list, such as [...]\n"},
		{"[flow]\nmax_flows = 4294967297\nmax_cpu = nan", "2: [flow] max_flows = 4294967297: want a whole number from 0 to 2000000000\n3: [flow] max_cpu = nan: want a number from 0.01 to 100\n"},
		{"Name = 'a'\nNAME = 1", "1: Name = \"a\": unknown key; did you mean name? want one of [flow], [[collector]], name\n2: NAME = 1: unknown key; did you mean name? want one of [flow], [[collector]], name\n"},
		{"nat = 'a'", "1: nat = \"a\": unknown key; did you mean [flow] nat? want one of [flow], [[collector]], name\n"},
		{"flow.deep = 1", "1: [flow] deep = 1: unknown key; did you mean [collector.inner] deep? want one of nat, max_flows, max_cpu, biflow, mark\n"},

		{"x = ", "1: x =: unexpected EOF; expected value\n"},

		// Above a syntax error.
		{"nam = 1\n[flow]\nnat = [\n1\n2]\nbiflow = 1", "1: nam = 1: unknown key; did you mean name? want one of [flow], [[collector]], name\n" +
			"5: 2]: expected a comma (',') or array terminator (']'), but got '2'\n"},
		{"flow.nat = '1'\nx = [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "1: [flow] nat = \"1\": want letters\n2: x = [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]: nested deeper than 16 levels\n"},
	} {
		for _, form := range []string{"%s", "\ufeff%s", "crlf"} {
			text := strings.ReplaceAll(form, "%s", c.text)
			if form == "crlf" {
				text = strings.ReplaceAll(c.text, "\n", "\r\n")
			}
			want := ""
			for line := range strings.Lines(c.want) {
				want += "f.toml:" + line
			}
			if got := errorText(Decode("f.toml", []byte(text), &file{})); got != strings.TrimSuffix(want, "\n") {
				t.Errorf("%q:\ngot\n%s\nwant\n%s", text, got, want)
			}
		}
	}
}

func TestValues(t *testing.T) {
	got := file{Flow: flow{NAT: "kept", CPU: 1}}
	err := Decode("f.toml", []byte("\ufeffname = \"a\"\r\n[flow]\r\nmax_flows = 0x10\r\nmark = 5\r\n[[collector]]\r\naddress = 'a'\r\nports = [1, 65535]\r\n"+
		"[[collector]]\r\naddress = 'b'\r\nsize = 9\r\nwords = []\r\ninner = {deep = true}\r\n"), &got)
	want := file{
		Name: "a",
		Flow: flow{NAT: "kept", CPU: 1, Flows: 16, Mark: mask{"5"}},
		Collectors: []collector{
			{Address: "a", Ports: []uint16{1, 65535}, Size: 5},
			{Address: "b", Words: []word{}, Size: 9, Inner: inner{true}},
		},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: got\n%+v, want\n%+v", err, got, want)
	}
}

// FuzzOutline: there is a mark for each key of a file, so that none gets the line of
// another, and each problem has a line of the file.
func FuzzOutline(f *testing.F) {
	f.Add("a.b = [[1, 2], [{c = '='}, \"\"\"\"]\"\"\"\"\"]] # [x]\n[d]\ne='''\n=\n'''\n[[f.'=']]\n\"g=\" = 1979-05-27 07:32:00Z\n")
	f.Add("[[collector]]\nports=[0,\n1]\n[[collector]]\nwords=['1']\ncollector={}")
	f.Fuzz(func(t *testing.T, text string) {
		marks, err := outline(text)
		var root map[string]any
		meta, broken := toml.Decode(text, &root)
		if err != nil || broken != nil || strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
			marks = nil
		}
		marks = slices.DeleteFunc(marks, func(m mark) bool { return m.kind == element })
		if keys := meta.Keys(); marks != nil && len(keys) != len(marks) {
			t.Errorf("%d keys, %d marks", len(keys), len(marks))
		}
		message := errorText(Decode("f.toml", []byte(text), &file{}))
		for said := range strings.Lines(message) {
			var line int
			if _, err := fmt.Sscanf(said, "f.toml:%d: ", &line); !strings.HasPrefix(said, "f.toml: and ") && (err != nil || line < 1 || line > 1+strings.Count(text, "\n")) {
				t.Errorf("no line within the file: %q", said)
			}
			if strings.ContainsFunc(strings.TrimSuffix(said, "\n"), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("unfit to print: %q", said)
			}
		}
	})
}

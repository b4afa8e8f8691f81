package tomlfile

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode"
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

// problemCase is a file and its problems, one a line, without the name of the file.
type problemCase struct{ text, want string }

// checkProblems decodes each file as it is, with a byte order mark, and with CRLF.
func checkProblems(t *testing.T, cases []problemCase) {
	t.Helper()
	for _, c := range cases {
		want := ""
		for line := range strings.Lines(c.want) {
			want += "f.toml:" + line
		}
		for _, text := range []string{
			c.text, "\ufeff" + c.text, strings.ReplaceAll(c.text, "\n", "\r\n"),
		} {
			got := errorText(Decode("f.toml", []byte(text), &file{}))
			if got != strings.TrimSuffix(want, "\n") {
				t.Errorf("%q:\ngot\n%s\nwant\n%s", text, got, want)
			}
		}
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	checkProblems(t, []problemCase{
		{"", ""},
		{"name = 'a'\n[flow]\nmax_flows = 7\n[[collector]]\naddress = 'a'\nports = [1, 2]\n", ""},
		{"nam = 'a'\n[flow]\nnaat = 1\nmax_flows = -1\nbiflow = 0\n[[collector]]\naddress = 'A'\n" +
			"port = 1\n[flows]\n",
			"1: nam = \"a\": unknown key; did you mean name? want one of [flow], [[collector]], " +
				"name\n" +
				"3: [flow] naat = 1: unknown key; did you mean nat? want one of nat, max_flows, " +
				"max_cpu, biflow, mark\n" +
				"4: [flow] max_flows = -1: want a whole number from 0 to 2000000000\n" +
				"5: [flow] biflow = 0: want true or false\n" +
				"7: [[collector]] #1 address = \"A\": want letters\n" +
				"8: [[collector]] #1 port = 1: unknown key; did you mean ports? want one of " +
				"address, ports, words, [inner], size\n" +
				"9: [flows]: unknown key; did you mean [flow]? want one of [flow], " +
				"[[collector]], name\n"},
	})
}

// TestProblemsHaveLines: the last element of an array of tables has lines, however it is written.
// An element of a list has the line of the list.
func TestProblemsHaveLines(t *testing.T) {
	checkProblems(t, []problemCase{
		{"[[collector]]\naddress = '1'\nports = [\n1,\n'x', # ]\n2, 0]\n[[collector]]\n\n" +
			"address = '2'\n",
			"3: [[collector]] #1 ports #2 = \"x\": want a whole number from 1 to 65535\n" +
				"3: [[collector]] #1 ports #4 = 0: want a whole number from 1 to 65535\n" +
				" [[collector]] #1 address = \"1\": want letters\n" +
				"9: [[collector]] #2 address = \"2\": want letters\n"},
		{"collector = [\n{ address = '1' },\n{ words = ['a', 'b',\n'3'], size = 10,\n" +
			"address = '2'\n}]",
			" [[collector]] #1 address = \"1\": want letters\n" +
				"3: [[collector]] #2 words #3 = \"3\": want letters\n" +
				"4: [[collector]] #2 size = 10: want a whole number from 1 to 9\n" +
				"5: [[collector]] #2 address = \"2\": want letters\n"},
		{"[[collector]]\naddress = 'a'\n[collector.inner]\ndeep = 1\n[[collector]]\n" +
			"address = 'b'\ninner.deep = 2",
			" [[collector]] #1 inner deep = 1: want true or false\n" +
				"7: [[collector]] #2 inner deep = 2: want true or false\n"},
		{"[[collector]]\naddress = 'a'\n\n[[collector]]\nsize = 1",
			"4: [[collector]] #2 address: is missing\n"},
		{"collector = [{ address = 'a' },\n{ size = 1 }]",
			"1: [[collector]] #2 address: is missing\n"},
		{"[[collector]]\naddress = 'a'\n[[collector]]\nsize = 1\naddress = 'twice'",
			"5: [[collector]] #2 address = \"twice\": named twice\n"},
		{"name = '''\n[flow]\nnat = [ '''\n[flow] # [a=[b\n\"nat\" = \"=\\\"=[\" # ]]\n" +
			"mark = \"\"\"\n\"\"\"\"\"\nmax_flows = \"'\"",
			"5: [flow] nat = \"=\\\"=[\": want letters\n" +
				"8: [flow] max_flows = \"'\": want a whole number from 0 to 2000000000\n"},
	})
}

func TestWrongKindsAndKeys(t *testing.T) {
	checkProblems(t, []problemCase{
		{"flow = 1\ncollector = 1",
			"1: flow = 1: want a table [flow]\n2: collector = 1: want tables [[collector]]\n"},
		{"[[flow]]\n[collector]",
			"1: [[flow]]: want a table [flow]\n2: [collector]: want tables [[collector]]\n"},
		{"collector = [[]]", "1: collector #1 = []: want a table [[collector]]\n"},
		{"name = 1\nflow.nat = []\nflow.mark = {}",
			"1: name = 1: want text in quotes\n2: [flow] nat = []: want a single value\n" +
				"3: [flow] mark: want a single value\n"},
		{"[[collector]]\nports = 1\nwords = 'a'",
			"2: [[collector]] #1 ports = 1: want a list, such as [...]\n" +
				"3: [[collector]] #1 words = \"a\": want a list, such as [...]\n"},
		{"[flow]\nmax_flows = 4294967297\nmax_cpu = nan",
			"2: [flow] max_flows = 4294967297: want a whole number from 0 to 2000000000\n" +
				"3: [flow] max_cpu = nan: want a number from 0.01 to 100\n"},
		{"Name = 'a'\nNAME = 1",
			"1: Name = \"a\": unknown key; did you mean name? want one of [flow], [[collector]], " +
				"name\n2: NAME = 1: unknown key; did you mean name? want one of [flow], " +
				"[[collector]], name\n"},
		{"nat = 'a'",
			"1: nat = \"a\": unknown key; did you mean [flow] nat? want one of [flow], " +
				"[[collector]], name\n"},
		{"flow.deep = 1",
			"1: [flow] deep = 1: unknown key; want one of nat, max_flows, max_cpu, biflow, mark\n"},
	})
}

func TestSyntaxErrorIsReportedAlone(t *testing.T) {
	checkProblems(t, []problemCase{
		{"x = ", "1: x =: unexpected EOF; expected value\n"},
		{"nam = 1\n[flow]\nnat = [\nbiflow = 1",
			"4: biflow = 1: expected value but found \"biflow\" instead\n"},
		{"nam = 1\n[flow]\nnat = [1 2]\nbiflow = 1",
			"3: nat = [1 2]: expected a comma (',') or array terminator (']'), but got '2'\n"},
		{"flow.nat = '1'\nx = [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]",
			" nested deeper than 8 levels\n"},
	})
}

func TestValues(t *testing.T) {
	got := file{Flow: flow{NAT: "kept", CPU: 1}}
	err := Decode("f.toml",
		[]byte("\ufeffname = \"a\"\r\n[flow]\r\nmax_flows = 0x10\r\nmark = 5\r\n[[collector]]\r\n"+
			"address = 'a'\r\nports = [1, 65535]\r\n"+
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

// FuzzDecode proves that each problem has a line of the file or none, and is printable.
func FuzzDecode(f *testing.F) {
	f.Add(
		"a.b = [[1, 2], [{c = '='}, \"\"\"\"]\"\"\"\"\"]] # [x]\n[d]\ne='''\n=\n'''\n[[f.'=']]\n" +
			"\"g=\" = 07:32:00\n")
	f.Add("[[collector]]\nports=[0,\n1]\n[[collector]]\nwords=['1']\ncollector={}")
	f.Fuzz(func(t *testing.T, text string) {
		lines := 1 + strings.Count(text, "\n")
		for problem := range strings.Lines(errorText(Decode("f.toml", []byte(text), &file{}))) {
			problem = strings.TrimSuffix(problem, "\n")
			rest, named := strings.CutPrefix(problem, "f.toml:")
			number, _, _ := strings.Cut(rest, ":")
			if line, err := strconv.Atoi(number); err == nil && (line < 1 || line > lines) {
				t.Errorf("no line of the file: %q", problem)
			}
			unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
			if !named || strings.ContainsFunc(problem, unprintable) {
				t.Errorf("unprintable: %q", problem)
			}
		}
	})
}

// TestLinesAreNeverWrong decodes random tables in random order in which each value is
// invalid and holds the number of its line.
func TestLinesAreNeverWrong(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	withLine, total := 0, 0
	for range 300 {
		text := randomFile(random)
		for problem := range strings.Lines(errorText(Decode("f.toml", []byte(text), &file{}))) {
			rest := strings.TrimPrefix(problem, "f.toml:")
			number, _, _ := strings.Cut(rest, ":")
			_, value, _ := strings.Cut(rest, "\"")
			value, _, quoted := strings.Cut(value, "\"")
			if _, err := strconv.Atoi(number); err == nil && quoted {
				withLine++
				if value != number {
					t.Errorf("line %s, want %s: %s\n%s", number, value, problem, text)
				}
			}
			total++
		}
	}
	if withLine < total/3 {
		t.Errorf("only %d of %d problems have a line", withLine, total)
	}
}

func randomFile(random *rand.Rand) string {
	var text strings.Builder
	line := 0
	write := func(format string) {
		line++
		text.WriteString(strings.ReplaceAll(format, "LINE", fmt.Sprintf("'%d'", line)) + "\n")
	}
	some := func(choice ...string) {
		for _, i := range random.Perm(len(choice))[:random.IntN(len(choice)+1)] {
			write(choice[i])
		}
	}
	for range random.IntN(4) {
		write("[[collector]]")
		some("address = LINE", "ports = LINE", "inner = {deep = LINE}", "x = [LINE]", "# LINE",
			"size = LINE")
	}
	write("[flow]")
	some("nat = LINE", "max_flows = LINE", "biflow = {x = LINE}", "y.z = LINE", "# LINE")
	return text.String()
}

package tomlfile

import (
	"strings"
	"testing"
)

// large is enough: what takes longer with the square of it doesn't come to an end.
const large = MaxSize / 4

// Large files are read in one go, whatever is in them.
func TestLargeFiles(t *testing.T) {
	for _, c := range []struct {
		name, text string // the text is repeated
		want       string // is part of the error
	}{
		{"lines", "\n", ""},
		{"comments", "#\n", ""},
		{"same key", "x=1\n", "already been defined"},
		{"same table", "[flow]\n", "already been defined"},
		{"empty elements", "[[collector]]\n", " more"},
		{"elements", "[[collector]]\naddress='a'\n", ""},
		{"dotted", "flow.nat='wire'\n", "already been defined"},
		{"lists", "[[collector]]\nports=[1,2]\n", " more"},
		{"nested lists", "[", "nested deeper than 16 levels"},
		{"nested inline tables", "flow={", "nested deeper than 16 levels"},
		{"nested in lists", "a=[\n", "nested deeper than 16 levels"},
		{"long key", "a.", "nested deeper than 16 levels"},
		{"long spaced key", "a . ", "nested deeper than 16 levels"},
		{"quotes", "'", ""},
		{"text", "a", "expected"},
		{"tables in tables", "[[collector]]\n[collector.x]\n", " more"},
	} {
		text := strings.Repeat(c.text, large/len(c.text))
		if c.name == "nested lists" {
			text = "a=" + text
		}
		err := Decode("f.toml", []byte(text), &file{})
		if message := errorText(err); !strings.Contains(message, c.want) || len(message) > 5000 {
			t.Errorf("%s: %.300s, want %s", c.name, message, c.want)
		}
	}
}

// So are large values.
func TestLargeValues(t *testing.T) {
	for _, c := range []struct{ before, text, after, want string }{
		{"[[collector]]\naddress='a'\nports=[", "1,\n", "]", ""},
		{"[[collector]]\naddress='a'\nports=[", "'x',\n", "]", " more"},
		{"flow='", "a", "'", "want a table [flow]"},
		{"flow='''", "\n", "'''", "want a table [flow]"},
		{"collector=[", "{},", "]", " more"},
		{"collector=[", "[[]],", "]", "want a table"},
		{"flow={nat='a', ", "b.c={},", "}", "already"},
	} {
		text := c.before + strings.Repeat(c.text, large/len(c.text)) + c.after
		message := errorText(Decode("f.toml", []byte(text), &file{}))
		if !strings.Contains(message, c.want) || (c.want == "") != (message == "") || len(message) > 5000 {
			t.Errorf("%s%s: %.300s, want %s", c.before, c.text, message, c.want)
		}
	}
}

// A key for each line, none of them known.
func TestManyUnknownKeys(t *testing.T) {
	var text strings.Builder
	for i := 0; text.Len() < large; i++ {
		text.WriteString("k" + indexed(i)[1:] + "=1\n")
	}
	lines := strings.ReplaceAll(text.String(), "]", "")
	if message := errorText(Decode("f.toml", []byte(lines), &file{})); !strings.Contains(message, " more") {
		t.Errorf("%.300s", message)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

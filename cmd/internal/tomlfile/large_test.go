package tomlfile

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// large is the size of the largest files. What the library needs grows with the square of
// the depth: without a limit on it, 16 KiB can take 900 MiB and half a minute.
const large = MaxSize

// decodeBounded decodes text and fails if that allocates more than 200 MiB in all.
func decodeBounded(t *testing.T, name, text string) string {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	message := errorText(Decode("f.toml", []byte(text), &file{}))
	runtime.ReadMemStats(&after)
	if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 200 {
		t.Errorf("%s: %d MiB allocated", name, mib)
	}
	return message
}

func TestLargeFilesAreBounded(t *testing.T) {
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
		{"nested lists", "[", "nested deeper than 8 levels"},
		{"nested inline tables", "flow={", "nested deeper than 8 levels"},
		{"nested in lists", "a=[\n", "nested deeper than 8 levels"},
		{"long key", "a.", "nested deeper than 8 levels"},
		{"long spaced key", "a . ", "nested deeper than 8 levels"},
		{"quotes", "'", ""},
		{"text", "a", "expected"},
		{"tables in tables", "[[collector]]\n[collector.x]\n", " more"},
		{"brackets beside texts", "a=['\"',\"]]'\\\"]\", # ]]\n", "nested deeper than 8 levels"},
		{"tables beside texts", "a={b='}',", "nested deeper than 8 levels"},
		{"depth just allowed", "[[a.a.a.a.a.a.a.a]]\na.a.a.a.a.a.a.a={a.a.a.a.a.a.a=1}\n",
			"unknown"},
	} {
		text := strings.Repeat(c.text, large/len(c.text))
		if c.name == "nested lists" {
			text = "a=" + text
		}
		if message := decodeBounded(t, c.name, text); !strings.Contains(message, c.want) ||
			len(message) > 5000 {
			t.Errorf("%s: %.300s, want %s", c.name, message, c.want)
		}
	}
}

func TestLargeValuesAreBounded(t *testing.T) {
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
		message := decodeBounded(t, c.before+c.text, text)
		if !strings.Contains(message, c.want) || (c.want == "") != (message == "") ||
			len(message) > 5000 {
			t.Errorf("%s%s: %.300s, want %s", c.before, c.text, message, c.want)
		}
	}
}

func TestManyUnknownKeysAreBounded(t *testing.T) {
	var text strings.Builder
	for i := 0; text.Len() < large; i++ {
		fmt.Fprintf(&text, "k%d=1\n", i)
	}
	if message := decodeBounded(t, "keys", text.String()); !strings.Contains(message, " more") {
		t.Errorf("%.300s", message)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

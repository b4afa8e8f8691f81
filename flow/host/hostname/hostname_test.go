package hostname

import (
	"encoding/csv"
	"encoding/json"
	"html"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestUsualNamesStayAsTheyAre(t *testing.T) {
	for _, name := range []string{
		"laptop", "smart-tv", "Michaels-iPhone", "Living Room TV", "Küche", "NAS_2", "日本のテレビ",
		"Nguyễn", "हिन्दी", "телефон", "المطبخ", "DESKTOP-7F3A2B1", "pi (attic)", "tv😀", "a", "7",
	} {
		if got := Clean(name); got != name {
			t.Errorf("%q became %q", name, got)
		}
	}
}

func TestNamesLoseTheirDomain(t *testing.T) {
	for raw, want := range map[string]string{
		"laptop.example.org.": "laptop", "laptop.lan": "laptop", "laptop.": "laptop",
		".laptop":  "laptop",
		" laptop ": "laptop", "my  laptop": "my laptop", "a .b": "a",
		"localhost": "", "localhost.localdomain": "", "192.0.2.1": "", "2001:db8::1": "",
		"fe80::1%eth0":      "",
		"02:00:00:00:00:01": "", "02-00-00-00-00-01": "", "": "", ".": "", "*": "", "-": "",
		"---": "", "!.0": "", ". 00": "00",
		"O'Brien's iPad": "OBriens iPad",
	} {
		if got := Clean(raw); got != want {
			t.Errorf("%q became %q, want %q", raw, got, want)
		}
	}
}

// hostile are names that attack the programs that show them.
func hostile() []string {
	return []string{
		"\x1b[2J\x1b[1;1Howned", "\x1b]0;title\x07", "\x1b]52;c;cm0gLXJm\x07", "\u009b31mred",
		"a\x00b", "a\rb", "a\nb", "a\x7fb",
		"a\x08\x08b", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>",
		`" onmouseover="alert(1)`, "'--", "&lt;b&gt;",
		"`id`", "$(reboot)", "a;reboot", "a|sh", "=1+1", "=cmd|'/C calc'!A0", "+1", "-2+3",
		"@SUM(A1)", "\t=1", " =1", "\u00a0=1",
		"＝1+1", `a\"} 1`, "a\"} 1\nup 0", `\`, "a,b", "\u202egpj.exe", "\u2066a\u2069",
		"a\u200bb\u200d\ufeff", "\u00ad",
		"\u2028line", "\u3164", "\u2800", "\u115f\u1160", "z" + strings.Repeat("\u0301", 1000),
		strings.Repeat("\u0301", 80),
		strings.Repeat("a", 1<<20), strings.Repeat("界", 100), "\xff\xfe", "a\xc3", "\xed\xa0\x80",
		"\U000e0041\U000e0042", "tv\ufe0f",
		"../../etc/passwd", "%s%n%x", "{{.}}", "${jndi:ldap://x}", `broken\x20a`, "\ue000",
		"https://example.org/", "#a",
		"a" + strings.Repeat(" ", 500) + "b", "----a", "=+-@=x", "\u0301a", "a\u20dd", "\u0000",
	}
}

// TestHostileNamesAreHarmless shows each name where names are shown.
func TestHostileNamesAreHarmless(t *testing.T) {
	if n := len(hostile()); n < 40 {
		t.Fatalf("only %d names", n)
	}
	for _, raw := range hostile() {
		checkHarmless(t, raw)
	}
}

func checkHarmless(t *testing.T, raw string) {
	t.Helper()
	for _, got := range []string{Clean(raw), CleanText(raw)} {
		if got == "" {
			continue
		}
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > Most {
			t.Errorf("%.60q became %q, which is invalid or too long", raw, got)
		}
		for i, r := range got {
			hidden := unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Bidi_Control,
				unicode.Variation_Selector)
			if hidden || r != ' ' && unicode.IsSpace(r) ||
				i == 0 && unicode.In(r, unicode.M, unicode.Zs) {
				t.Errorf("%.60q became %q: a terminal may not show %q", raw, got, r)
			}
		}
		if e := html.EscapeString(got); e != got || strings.ContainsRune(got, '`') {
			t.Errorf("%.60q became %q, which HTML needs as %q", raw, got, e)
		}
		if j, err := json.Marshal(got); err != nil || string(j) != `"`+got+`"` {
			t.Errorf("%.60q became %q, which JSON needs as %s, %v", raw, got, j, err)
		}
		if strconv.Quote(got) != `"`+got+`"` {
			t.Errorf("%.60q became %q, which a label of metrics has to escape", raw, got)
		}
		if c := asCSV(t, got); c != got || strings.ContainsAny(got[:1], "=+-@\t ") ||
			strings.Contains(got, ";") {
			t.Errorf("%.60q became %q, which a spreadsheet needs as %q", raw, got, c)
		}
	}
	if got := Clean(raw); got != Clean(got) {
		t.Errorf("%.60q became %q, and that %q", raw, got, Clean(got))
	}
	if _, err := netip.ParseAddr(Clean(raw)); err == nil {
		t.Errorf("%q passes for an address", raw)
	}
}

func asCSV(t *testing.T, field string) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	if err := w.Write([]string{field}); err != nil {
		t.Fatal(err)
	}
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}

// FuzzClean requires of every name what is required of the hostile ones.
func FuzzClean(f *testing.F) {
	for _, raw := range hostile() {
		f.Add(raw[:min(len(raw), 2*longest)]) // long seeds are slow
	}
	f.Fuzz(checkHarmless)
}

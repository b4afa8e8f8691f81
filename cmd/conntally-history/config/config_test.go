package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/internal/tomlfile"
)

func reference(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// whole is the reference with its examples.
func whole(t testing.TB) string {
	t.Helper()
	return regexp.MustCompile(`(?m)^#(\S)`).ReplaceAllString(reference(t), "$1")
}

func parse(text string) (*Config, error) {
	c := Default()
	return c, tomlfile.Decode("FILE", []byte(text), c)
}

func TestReferenceHoldsTheDefaults(t *testing.T) {
	got, err := parse(reference(t))
	if err != nil {
		t.Fatal(err)
	}
	if now, restart := tomlfile.Changed(got, Default()); len(now)+len(restart) > 0 {
		t.Errorf("the reference differs from the defaults in %q", now)
	}
}

// Every key, each once, with a comment on its line; and no other key.
func TestReferenceIsComplete(t *testing.T) {
	text := whole(t)
	if _, err := parse(text); err != nil {
		t.Fatal(err)
	}
	for table := range reflect.TypeFor[Config]().Fields() {
		label := tomlfile.Label(table.Tag.Get("toml"), table.Type)
		_, below, found := strings.Cut(text, "\n"+label+"\n")
		if !found {
			t.Errorf("no table %s", label)
		}
		below, _, _ = strings.Cut(below, "\n[")
		s := table.Type
		if s.Kind() == reflect.Slice {
			s = s.Elem()
		}
		for key := range s.Fields() {
			name := key.Tag.Get("toml")
			line := regexp.MustCompile(`(?m)^` + name + ` +=.*\S +# \S.*$`)
			if len(line.FindAllString(below, -1)) != 1 {
				t.Errorf("want one line for %s %s", label, name)
			}
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"60d": 60 * day, "5m": 5 * time.Minute, "1h30m": 90 * time.Minute, "36500d": 36500 * day,
		"24h": day, "1s": time.Second,
		"": 0, "0d": 0, "-1d": 0, "1.5d": 0, "36501d": 0, "99999999d": 0, "1ms": 0, "d": 0, "5": 0,
	} {
		var d Duration
		err := d.UnmarshalText([]byte(text))
		if time.Duration(d) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: got %s, %v, want %s", text, d, err, want)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"100GB": 100e9, "512MiB": 512 << 20, "1 TB": 1e12, "17": 17, "8TiB": 8 << 40, "3kB": 3000,
		"0": -1, "-1": -1, "1.5GB": -1, "9223373TB": -1, "1PB": -1, "GB": -1, "": 0,
	} {
		var s Size
		err := s.UnmarshalText([]byte(text))
		if (err == nil) != (want >= 0) || err == nil && int64(s) != want {
			t.Errorf("%q: got %d, %v, want %d", text, s, err, want)
		}
	}
}

func TestMistakesAreExplained(t *testing.T) {
	const hash = "$2y$05$DGCBVnUqFRNDLp.nLrhgDeoE6PRs2bsxkzXfkJ8eHMyFoYkdqZQ2u"
	for _, c := range []struct{ text, want string }{
		{"[web]\nlisten = \"[::1]:80\"", ""},
		{"[web]\nlisten = \"0.0.0.0:80\"\nenable = false", ""},
		{"[web]\nlisten = \"0.0.0.0:80\"\ninsecure = true", ""},
		{"[web]\nlisten = \"0.0.0.0:80\"\nuser = \"a\"\npassword_hash = \"" + hash + "\"", ""},
		{"[web]\nlisten = \"0.0.0.0:80\"", "anyone who reaches it could read the page"},
		{"[web]\nuser = \"a\"\npassword_hash = \"secret\"", "want a bcrypt hash"},
		{"[web]\nuser = \"a\"\npassword_hash = \"a:" + hash + "\"",
			"what htpasswd -nB USER prints after the colon"}, // which prints the user, too
		{"[web]\nuser = \"a\"", "needs password_hash or password_file"},
		{"[web]\npassword_file = \"/a\"", "is missing: a password needs one"},
		{"[web]\nuser = \"a\"\npassword_hash = \"" + hash + "\"\npassword_file = \"/a\"", "not both"},
		{"[web]\nkey = \"/a\"", "want certificate and key, or neither"},
		{"[web]\nkey = \"a\"\ncertificate = \"/b\"", "begins with /"},
		{"[web]\nhosts = [\"a:1\"]", "without ports"},
		{"[database]\npath = \"a.db\"", "begins with /"},
		{"[database]\nflush_interval = \"2d\"", "from 1s to 1d"},
		{"[database]\nmax_size = \"1MiB\"", "at least"},
		{"[database]\nhours = \"1h\"", "at least"},
		{"[database]\nhours = \"60d\"\ndays = \"59d\"", "no less than hours"},
		{"[database]\nhour = \"60d\"", "did you mean hours?"},
		{"[collector]\naddress = \"\"", "is missing"},
		{"[collector]\nreceive_buffer = \"2GiB\"", "up to"},
		{"[collector]\nexporters = [\"192.0.2.1/24\"]", "did you mean 192.0.2.0/24?"},
		{"[devices]\nleases = [\"a\"]", `want "auto" or paths`},
		{"[services]\ninterval = \"5s\"", "from 10s to 1h"},
		{"[report]\nbilling_day = 32", "1 to 31"},
		{"[[device]]\nname = \"a\"\naddress = [\"192.0.2.1\"]\n" +
			"[[device]]\nname = \"a\"\nmac = [\"02:00:00:00:00:01\"]", "a is that of #1 already"},
	} {
		_, err := parse(c.text)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestPasswordIsAskedOfFlagsToo(t *testing.T) {
	c := Default()
	c.Web.Listen = "192.0.2.1:80"
	if c.CheckWeb() == nil {
		t.Error("an address beyond loopback was accepted without a password")
	}
	c.Web.Listen = "localhost:80"
	if err := c.CheckWeb(); err != nil {
		t.Error(err)
	}
}

func TestDatabaseFile(t *testing.T) {
	for _, c := range []struct{ path, state, want string }{
		{"/a/b.db", "/state", "/a/b.db"},
		{"", "/state", "/state/history.db"},
		{"", "/state:/other", "/state/history.db"},
		{"", "", "/var/lib/conntally-history/history.db"},
	} {
		t.Setenv("STATE_DIRECTORY", c.state)
		if got := (&Database{Path: c.path}).File(); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}

func TestNamedFileMustExist(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "missing.toml")); err == nil {
		t.Error("a missing file was accepted")
	}
	path := filepath.Join(t.TempDir(), "a.toml")
	if err := os.WriteFile(path, []byte("[report]\nbilling_day = 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(path); err != nil || c.Report.BillingDay != 7 {
		t.Errorf("%+v, %v", c, err)
	}
}

// FuzzParse proves that any file is refused, or decoded to values within their limits.
func FuzzParse(f *testing.F) {
	f.Add(reference(f))
	f.Add(whole(f))
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parse(text)
		if err != nil {
			return
		}
		if d := &c.Database; d.FlushInterval < Duration(time.Second) || d.Hours > d.Days ||
			d.MaxSize < minDatabase || c.Report.BillingDay < 1 || c.Report.BillingDay > 31 ||
			c.Devices.Max < 1 || c.CheckWeb() != nil {
			t.Errorf("accepted %+v", c)
		}
	})
}

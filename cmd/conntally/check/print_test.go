package check

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/internal/checklist"
	"github.com/conntally/conntally/conntrack/kernel"
)

// strange are states with names as long and as hostile as possible.
func strange() []outcome {
	long := strings.Repeat("flowtable", 28) // NFT_NAME_MAXLEN is 256
	host := strings.Repeat(strings.Repeat("a", 63)+".", 4)[:253] + ":2055"
	nasty := "\x1b[2J\n\t\u202e\u00a0\xff evil"
	return []outcome{
		{"", "", "", "", flowtables(kernel.Flowtable{Family: 1, Table: long, Name: long},
			kernel.Flowtable{Family: 1, Table: long, Name: "b"})},
		{"", "", "", "", flowtables(kernel.Flowtable{Family: 1, Table: nasty, Name: nasty})},
		{"", "", "", "", unreachable(failed("dial", unix.ENETUNREACH))},
		{"", "", "", "", func(f *State) { f.Collectors[0].Address = host }},
		{"", "", "", "",
			func(f *State) { f.Release = strings.Repeat("6.1.0 ", 20) + strings.Repeat("x", 200) }},
		{"", "", "", "",
			listening(kernel.Subscriber{PID: 1 << 22, Program: nasty, Reliable: true})},
		{"", "", "", "",
			listening(kernel.Subscriber{PID: 1 << 22, Program: strings.Repeat("流", 5)})},
		{"", "", "", "", func(f *State) {
			f.Root, f.Answer, f.Requirements.Command = false, unix.EPERM,
				"conntally check --config /"+strings.Repeat("directory/", 400)+"conntally.toml"
		}},
	}
}

// TestLinesFitTerminal: no line is wider than a terminal, or has control characters.
func TestLinesFitTerminal(t *testing.T) {
	for _, o := range append(outcomes(), strange()...) {
		var out bytes.Buffer
		checklist.Print(&out, Results(o.state()), false)
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			if n := utf8.RuneCountInString(line); n > 80 {
				t.Errorf("%d columns: %s", n, line)
			}
			i := strings.IndexFunc(line, func(r rune) bool { return r < ' ' || r > '~' })
			if i >= 0 {
				t.Errorf("byte %d: %q", i, line)
			}
		}
	}
}

const printed = `ok    kernel     Linux 6.1.0-49-amd64
fail  acct       nf_conntrack_acct is 0: no packets or bytes are counted
      fix: sysctl -w net.netfilter.nf_conntrack_acct=1
warn  clock      the clock isn't synchronised: flows may have wrong times; run
                 chrony or another NTP client
`

func few() []Result {
	f := good()
	f.Settings[0].Was, f.Settings[0].ReadOnly, f.Clock.Synced = 0, true, false
	var results []Result
	for _, r := range Results(f) {
		switch r.Name {
		case "kernel", "acct", "clock":
			results = append(results, r)
		}
	}
	return results
}

func TestPrint(t *testing.T) {
	var out, coloured bytes.Buffer
	results := few()
	checklist.Print(&out, results, false)
	if want := printed + "Not ready: 1 failure, 1 warning\n"; out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
	checklist.Print(&coloured, results, true)
	bare := strings.NewReplacer("\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[0m",
		"").Replace(coloured.String())
	if bare != out.String() || strings.Count(coloured.String(), "\x1b") != 2*len(results) {
		t.Errorf("coloured: %q", &coloured)
	}
}

// TestVerdictClaimsOnlyWhatWasChecked: in its last lines.
func TestVerdictClaimsOnlyWhatWasChecked(t *testing.T) {
	some := Result{Status: Warn, Unchecked: []string{"tracking", "buffer"}}
	for want, results := range map[string][]Result{
		"\nReady\n":                {{Status: OK}},
		"\nReady (1 warning)\n":    {{Status: OK}, {Status: Warn}},
		"\nNot ready: 1 failure\n": {{Status: Fail}},
		"\nNot checked: tracking, buffer\nThe rest is ready (1 warning)\n": {{Status: OK}, some},
		"\nNot checked: tracking, buffer\nNot ready: 1 failure, 1 warning\n": {
			some, {Status: Fail}},
	} {
		var out bytes.Buffer
		checklist.Print(&out, results, false)
		if !strings.HasSuffix(out.String(), want) {
			t.Errorf("%q doesn't end with %q", &out, want)
		}
	}
}

// TestJSONHasDocumentedKeys: the documented schema, and nothing else.
func TestJSONHasDocumentedKeys(t *testing.T) {
	var out bytes.Buffer
	if err := checklist.PrintJSON(&out, few()[:2]); err != nil {
		t.Fatal(err)
	}
	const want = `[
  {
    "name": "kernel",
    "status": "ok",
    "text": "Linux 6.1.0-49-amd64",
    "fix": "",
    "condition": ""
  },
  {
    "name": "acct",
    "status": "fail",
    "text": "nf_conntrack_acct is 0: no packets or bytes are counted",
    "fix": "sysctl -w net.netfilter.nf_conntrack_acct=1",
    "condition": "acct_off"
  }
]
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
	for _, o := range append(outcomes(), strange()...) {
		var out bytes.Buffer
		if err := checklist.PrintJSON(&out, Results(o.state())); err != nil {
			t.Fatal(err)
		}
		var rows []map[string]string
		if err := json.Unmarshal(out.Bytes(), &rows); err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
		for _, row := range rows {
			sound := row["status"] == "ok" || row["status"] == "warn" || row["status"] == "fail"
			if len(row) != 5 || row["name"] == "" || !sound || row["text"] == "" ||
				row["status"] == "ok" && row["fix"] != "" {
				t.Errorf("%q", row)
			}
		}
	}
}

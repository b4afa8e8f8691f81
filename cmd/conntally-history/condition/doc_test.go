package condition

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/conntally/conntally/cmd/internal/condition"
)

//go:generate go test -run ^TestDocumentsAreCurrent$ -update .

var update = flag.Bool("update", false, "rewrite what documents say of conditions")

// docs is the directory of the documents.
var docs = filepath.Join("..", "..", "..", "docs")

// alert returns the name of a condition's alert rule.
func alert(d *condition.Definition) string {
	name := "ConntallyHistory"
	for word := range strings.SplitSeq(string(d.ID), "_") {
		name += strings.ToUpper(word[:1]) + word[1:]
	}
	return name
}

// table returns the conditions as a table of Markdown.
func table() []byte {
	var b bytes.Buffer
	fmt.Fprint(&b, "\n| metric's label | severity | log line | what it means | what to do |\n"+
		"|---|---|---|---|---|\n")
	for _, d := range Definitions() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", d.ID, d.Severity, d.Message, d.Meaning, d.Advice)
	}
	return b.Bytes()
}

// rules returns an alert rule for each condition.
func rules() []byte {
	var b bytes.Buffer
	for _, d := range Definitions() {
		series := fmt.Sprintf("conntally_history_condition{condition=%q}", d.ID)
		expression, wait, severity := series+" == 1", "        for: 5m\n", "warning"
		if d.Severity == condition.Failing {
			severity = "critical"
		}
		if d.Event {
			expression, wait = "max_over_time("+series+"[10m]) == 1", ""
		}
		fmt.Fprintf(&b, "      - alert: %s\n        expr: %s\n%s        labels: {severity: %s}\n"+
			"        annotations:\n          summary: %q\n",
			alert(&d), expression, wait, severity, "{{ $labels.instance }}: "+d.Message)
	}
	return b.Bytes()
}

// TestDocumentsAreCurrent compares what documents say of conditions with the list.
func TestDocumentsAreCurrent(t *testing.T) {
	const made = "From here on made by go generate ./cmd/conntally-history/condition. Don't edit."
	for _, document := range []struct {
		name, mark string
		want       []byte
	}{
		{"history.md", "<!-- " + made + " -->\n", table()},
		{"monitoring/alerts-history.yml", "      # " + made + "\n", rules()},
	} {
		path := filepath.Join(docs, document.name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		byHand, is, found := bytes.Cut(text, []byte(document.mark))
		switch {
		case !found:
			t.Errorf("%s has no %q", path, document.mark)
		case *update:
			whole := slices.Concat(byHand, []byte(document.mark), document.want)
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
		case !bytes.Equal(is, document.want):
			t.Errorf("%s isn't current: run go generate ./cmd/conntally-history/condition", path)
		}
	}
}

// TestAlertsFire has Prometheus's own tool try each rule: it fires while its condition holds, and
// not else.
func TestAlertsFire(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: make tools")
	}
	path, err := filepath.Abs(filepath.Join(docs, "monitoring", "alerts-history.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "rule_files: [%q]\nevaluation_interval: 1m\ntests:\n", path)
	for _, d := range Definitions() {
		severity := "warning"
		if d.Severity == condition.Failing {
			severity = "critical"
		}
		fmt.Fprintf(&b, "- interval: 1m\n  input_series:\n"+
			"  - {series: 'conntally_history_condition{condition=%q, instance=\"router\"}', values: "+
			"'0x10 1x9 0x30'}\n  alert_rule_test:\n", d.ID)
		for _, time := range []string{"9m", "45m"} {
			fmt.Fprintf(&b, "  - {eval_time: %s, alertname: %s}\n", time, alert(&d))
		}
		fmt.Fprintf(&b, "  - eval_time: 18m\n    alertname: %s\n    exp_alerts:\n"+
			"    - exp_labels: {severity: %s, condition: %s, instance: router}\n"+
			"      exp_annotations: {summary: %q}\n", alert(&d), severity, d.ID, "router: "+d.Message)
	}
	file := filepath.Join(t.TempDir(), "test.yml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "rules", path}, {"test", "rules", file}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

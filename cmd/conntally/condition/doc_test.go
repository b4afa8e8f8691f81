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
)

//go:generate go test -run ^(TestDoc|TestAlertRules)$ -update .

var update = flag.Bool("update", false, "rewrite docs/check.md and docs/monitoring/alerts.yml")

var docs = filepath.Join("..", "..", "..", "docs")

// current compares what follows a mark in a document with what it should be, or writes it.
func current(t *testing.T, name, mark string, want []byte) {
	t.Helper()
	path := filepath.Join(docs, name)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	byHand, made, found := bytes.Cut(text, []byte(mark))
	if !found {
		t.Fatalf("%s has no %q", path, mark)
	}
	if *update {
		if err := os.WriteFile(path, slices.Concat(byHand, []byte(mark), want), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(made, want) {
		t.Errorf("%s isn't current: run go generate ./cmd/conntally/condition", path)
	}
}

// TestDoc keeps the table of docs/check.md as the list is.
func TestDoc(t *testing.T) {
	var b bytes.Buffer
	fmt.Fprint(&b,
		"\n| metric's label | severity | line of check | log line | what it means | fix | alert "+
			"rule |\n|---|---|---|---|---|---|---|\n")
	for _, d := range Definitions() {
		severity, fix := string(d.Severity), d.Advice
		if d.Once {
			severity += ", once"
		}
		if d.Event {
			severity += ", event"
		}
		if d.Fix != "" {
			fix = "`" + d.Fix + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s |\n", d.ID, severity, d.Check,
			d.Message, d.Meaning, fix, d.Alert)
	}
	current(t, "check.md",
		"<!-- From here on made by go generate ./cmd/conntally/condition. Don't edit. -->\n",
		b.Bytes())
}

// rule returns the alert rule of a condition.
func rule(d *Definition) string {
	series := fmt.Sprintf("conntally_condition{condition=%q}", d.ID)
	expression, wait, severity := series+" == 1", "        for: 5m\n", "warning"
	if d.Severity == Failing {
		wait, severity = "        for: 2m\n", "critical"
	}
	if d.Event {
		expression, wait = "max_over_time("+series+"[10m]) == 1", ""
	}
	return fmt.Sprintf("      - alert: %s\n        expr: %s\n%s        labels: {severity: %s}\n"+
		"        annotations:\n          summary: %q\n",
		d.Alert, expression, wait, severity, "{{ $labels.instance }}: "+d.Message)
}

// TestAlertRules keeps those of docs/monitoring/alerts.yml as the list is.
func TestAlertRules(t *testing.T) {
	var b strings.Builder
	for _, d := range Definitions() {
		b.WriteString(rule(&d))
	}
	current(t, filepath.Join("monitoring", "alerts.yml"),
		"      # From here on made by go generate ./cmd/conntally/condition. Don't edit.\n",
		[]byte(b.String()))
}

// TestAlertsFire has Prometheus's own tool judge the rules, and try each: it fires while its
// condition holds, and not else.
func TestAlertsFire(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: make tools")
	}
	rules, err := filepath.Abs(filepath.Join(docs, "monitoring", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "rule_files: [%q]\nevaluation_interval: 1m\ntests:\n", rules)
	for _, d := range Definitions() {
		severity := map[Severity]string{Warning: "warning", Failing: "critical"}[d.Severity]
		fmt.Fprintf(&b, "- interval: 1m\n  input_series:\n")
		fmt.Fprintf(&b,
			"  - {series: 'conntally_condition{condition=%q, instance=\"router\"}', values: "+
				"'0x10 1x9 0x30'}\n", d.ID)
		fmt.Fprintf(&b, "  alert_rule_test:\n  - {eval_time: 9m, alertname: %s}\n"+
			"  - {eval_time: 45m, alertname: %s}\n", d.Alert, d.Alert)
		fmt.Fprintf(&b, "  - eval_time: 18m\n    alertname: %s\n    exp_alerts:\n", d.Alert)
		fmt.Fprintf(&b, "    - exp_labels: {severity: %s, condition: %s, instance: router}\n"+
			"      exp_annotations: {summary: %q}\n",
			severity, d.ID, "router: "+d.Message)
	}
	file := filepath.Join(t.TempDir(), "test.yml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "rules", rules}, {"test", "rules", file}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

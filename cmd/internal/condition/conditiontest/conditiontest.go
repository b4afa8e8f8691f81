// Package conditiontest makes what documents say of a program's conditions out of its list, and has
// Prometheus's own tool try the alert rules.
package conditiontest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/conntally/conntally/cmd/internal/condition"
)

// Program is whose conditions are documented.
type Program struct {
	Metric      string // its label "condition" is the ID
	Definitions []condition.Definition
	// Alert returns the name of a condition's alert rule.
	Alert func(d *condition.Definition) string
	// Failing is how long a failing condition has to hold before it alerts, such as "2m".
	Failing string
}

// Current compares what follows a mark in a document with what it should be or, with update, writes
// it. command is what updates it.
func Current(t *testing.T, path, mark string, want []byte, update bool, command string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	byHand, made, found := bytes.Cut(text, []byte(mark))
	if !found {
		t.Fatalf("%s has no %q", path, mark)
	}
	if update {
		if err := os.WriteFile(path, slices.Concat(byHand, []byte(mark), want), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(made, want) {
		t.Errorf("%s isn't current: run %s", path, command)
	}
}

// Rules returns an alert rule for each condition.
func (p *Program) Rules() []byte {
	var b bytes.Buffer
	for _, d := range p.Definitions {
		series := fmt.Sprintf("%s{condition=%q}", p.Metric, d.ID)
		expression, wait := series+" == 1", "        for: 5m\n"
		if d.Severity == condition.Failing {
			wait = "        for: " + p.Failing + "\n"
		}
		if d.Event {
			expression, wait = "max_over_time("+series+"[10m]) == 1", ""
		}
		fmt.Fprintf(&b, "      - alert: %s\n        expr: %s\n%s        labels: {severity: %s}\n"+
			"        annotations:\n          summary: %q\n",
			p.Alert(&d), expression, wait, severity(&d), "{{ $labels.instance }}: "+d.Message)
	}
	return b.Bytes()
}

// severity is the label of a condition's alert.
func severity(d *condition.Definition) string {
	if d.Severity == condition.Failing {
		return "critical"
	}
	return "warning"
}

// Fire has promtool judge the rules at path, and try each: it fires while its condition holds, and
// not otherwise.
func (p *Program) Fire(t *testing.T, path string) {
	t.Helper()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: make tools")
	}
	if path, err = filepath.Abs(path); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "rule_files: [%q]\nevaluation_interval: 1m\ntests:\n", path)
	for _, d := range p.Definitions {
		alert := p.Alert(&d)
		fmt.Fprintf(&b, "- interval: 1m\n  input_series:\n")
		fmt.Fprintf(&b, "  - {series: '%s{condition=%q, instance=\"router\"}', values: '0x10 1x9 0x30'}\n",
			p.Metric, d.ID)
		fmt.Fprintf(&b, "  alert_rule_test:\n  - {eval_time: 9m, alertname: %s}\n"+
			"  - {eval_time: 45m, alertname: %s}\n", alert, alert)
		fmt.Fprintf(&b, "  - eval_time: 18m\n    alertname: %s\n    exp_alerts:\n", alert)
		fmt.Fprintf(&b, "    - exp_labels: {severity: %s, condition: %s, instance: router}\n"+
			"      exp_annotations: {summary: %q}\n", severity(&d), d.ID, "router: "+d.Message)
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

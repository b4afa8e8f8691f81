package condition

import (
	"bytes"
	"flag"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/conntally/conntally/cmd/internal/condition/conditiontest"
)

//go:generate go test -run ^(TestDoc|TestAlertRules)$ -update .

var update = flag.Bool("update", false, "rewrite docs/check.md and docs/monitoring/alerts.yml")

var docs = filepath.Join("..", "..", "..", "docs")

// documented is what the documents are made from.
func documented() *conditiontest.Program {
	return &conditiontest.Program{
		Metric: "conntally_condition", Definitions: Definitions(),
		Alert: func(d *Definition) string { return d.Alert }, Failing: "2m",
	}
}

// current compares what follows a mark in a document with what it should be, or writes it.
func current(t *testing.T, name, mark string, want []byte) {
	t.Helper()
	conditiontest.Current(t, filepath.Join(docs, name), mark, want, *update,
		"go generate ./cmd/conntally/condition")
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

// TestAlertRules keeps those of docs/monitoring/alerts.yml as the list is.
func TestAlertRules(t *testing.T) {
	current(t, filepath.Join("monitoring", "alerts.yml"),
		"      # From here on made by go generate ./cmd/conntally/condition. Don't edit.\n",
		documented().Rules())
}

// TestAlertsFire tries each rule.
func TestAlertsFire(t *testing.T) {
	documented().Fire(t, filepath.Join(docs, "monitoring", "alerts.yml"))
}

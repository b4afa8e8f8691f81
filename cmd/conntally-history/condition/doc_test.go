package condition

import (
	"bytes"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conntally/conntally/cmd/internal/condition"
	"github.com/conntally/conntally/cmd/internal/condition/conditiontest"
)

//go:generate go test -run ^TestDocumentsAreCurrent$ -update .

var update = flag.Bool("update", false, "rewrite what documents say of conditions")

// docs is the directory of the documents.
var docs = filepath.Join("..", "..", "..", "docs")

// documented is what the documents are made from.
func documented() *conditiontest.Program {
	return &conditiontest.Program{
		Metric: "conntally_history_condition", Definitions: Definitions(), Alert: alert, Failing: "5m",
	}
}

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

// TestDocumentsAreCurrent compares what documents say of conditions with the list.
func TestDocumentsAreCurrent(t *testing.T) {
	const generate = "go generate ./cmd/conntally-history/condition"
	const made = "From here on made by " + generate + ". Don't edit."
	for _, document := range []struct {
		name, mark string
		want       []byte
	}{
		{"history.md", "<!-- " + made + " -->\n", table()},
		{"monitoring/alerts-history.yml", "      # " + made + "\n", documented().Rules()},
	} {
		conditiontest.Current(t, filepath.Join(docs, document.name), document.mark, document.want,
			*update, generate)
	}
}

// TestAlertsFire tries each rule.
func TestAlertsFire(t *testing.T) {
	documented().Fire(t, filepath.Join(docs, "monitoring", "alerts-history.yml"))
}

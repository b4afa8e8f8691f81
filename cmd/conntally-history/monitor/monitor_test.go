package monitor

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally-history/collect"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/internal/condition"
	"github.com/conntally/conntally/cmd/internal/condition/conditiontest"
	"github.com/conntally/conntally/cmd/internal/httpserver"
)

//go:generate go test -run ^TestDocumentIsCurrent$ -update .

var update = flag.Bool("update", false, "rewrite docs/history-metrics.md")

// families returns the metrics of a program that has seen an exporter, last at a time.
func families(t *testing.T, last time.Time) []*dto.MetricFamily {
	t.Helper()
	exporter := collect.ExporterStats{
		Exporter: usage.Exporter{Address: netip.MustParseAddr("192.0.2.1")}, Last: last,
	}
	s := &Sources{
		Snapshot: func() Snapshot {
			return Snapshot{
				Stats:     collect.Stats{Exporters: []collect.ExporterStats{exporter}},
				LastFlush: time.Unix(1, 0),
			}
		},
		Conditions: func() []condition.Condition { return nil },
		Server:     httpserver.New(zap.NewNop()),
	}
	all, err := s.gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestDocumentIsCurrent: docs/history-metrics.md lists the metrics that there are.
func TestDocumentIsCurrent(t *testing.T) {
	const generate = "go generate ./cmd/conntally-history/monitor"
	var b bytes.Buffer
	fmt.Fprint(&b, "\n| metric | type | labels | |\n|---|---|---|---|\n")
	for _, f := range families(t, time.Unix(1, 0)) {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()),
			strings.Join(labels, ", "), f.GetHelp())
	}
	conditiontest.Current(t, filepath.Join("..", "..", "..", "docs", "history-metrics.md"),
		"<!-- From here on made by "+generate+". Don't edit. -->\n", b.Bytes(), *update, generate)
}

// TestTimeOfASilentExporterIsLeftOut: one that the database knows may not have sent since the start.
func TestTimeOfASilentExporterIsLeftOut(t *testing.T) {
	for _, f := range families(t, time.Time{}) {
		if f.GetName() == "conntally_history_exporter_last_seen_timestamp_seconds" {
			t.Errorf("%v", f)
		}
	}
}

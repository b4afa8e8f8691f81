package monitor

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/conntally/conntally/cmd/internal/telemetry"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
)

//go:generate go test -run ^TestMetricsDocIsCurrent$ -update .

var (
	update    = flag.Bool("update", false, "rewrite docs/metrics.md")
	docs      = filepath.Join("..", "..", "..", "docs")
	generated = []byte("<!-- From here on made by go generate ./cmd/conntally/monitor. Don't edit. -->\n")
)

// TestMetricsDocIsCurrent: docs/metrics.md lists the metrics that there are.
func TestMetricsDocIsCurrent(t *testing.T) {
	path := filepath.Join(docs, "metrics.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	byHand, list, found := bytes.Cut(text, generated)
	if !found {
		t.Fatalf("%s has no list", path)
	}
	want := listing()
	if *update {
		if err := os.WriteFile(path, slices.Concat(byHand, generated, want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(list, want) {
		t.Errorf("%s isn't current: run go generate ./cmd/conntally/monitor", path)
	}
}

// listing returns tables of all metrics, one for each part of the pipeline.
func listing() []byte {
	s := newSources()
	var b bytes.Buffer
	for _, part := range []struct {
		title string
		rows  []row
	}{
		{"The kernel", slices.Concat(s.kernelRows(), statisticsRows(new(kernel.Statistics)))},
		{"Reading conntrack", s.conntrackRows()},
		{"How conntrack's ends are read: labels `source`, `step` and `dumps`", sourceRows()},
		{"Flows", s.flowRows()},
		{"Interfaces", s.routeRows()},
		{"Neighbours: with `[devices]` or `extra_fields = [\"mac\"]`", s.neighbourRows()},
		{"Printing: without a collector", s.printRows()},
		{"Traffic: label `interface` or `direction`", slices.Concat(
			interfaceRows(new(InterfaceUsage)), trafficRows(new(TrafficUsage)))},
		{"Each device, with `[metrics] devices`: labels `device` and `name`, and of bytes and packets `scope`",
			slices.Concat(scopeRows(new(ScopeUsage)), deviceRows(new(DeviceUsage)))},
		{"The same: labels `device`, `name`, `mac`, `addresses` and `vendor`", infoRows()},
		{"Conditions", conditionRows(false)},
		{"Each collector: labels `collector` and `protocol`", collectorRows(new(export.CollectorStats))},
		{"State and configuration", s.probeRows()},
		{"The process", slices.Concat(buildRows(), goRows())},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n| metric | type | |\n|---|---|---|\n", part.title)
		for _, r := range part.rows {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.name, strings.ToLower(telemetry.Kind(r.name).ToDTO().String()), r.help)
		}
	}
	for _, f := range processFamilies(s) {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), f.GetHelp())
	}
	return b.Bytes()
}

// processFamilies returns the metrics of the library's process collector.
func processFamilies(s *Sources) []*dto.MetricFamily {
	families, err := s.gatherer().Gather()
	if err != nil {
		panic(err)
	}
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool {
		return !strings.HasPrefix(f.GetName(), "process_")
	})
}

// names returns the names of all metrics.
func names() map[string]bool {
	all := make(map[string]bool)
	for _, match := range regexp.MustCompile("\\| `([a-z_]+)` \\|").FindAllSubmatch(listing(), -1) {
		all[string(match[1])] = true
	}
	return all
}

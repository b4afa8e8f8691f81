// Package monitortest reads and judges pages of metrics as Prometheus itself does.
package monitortest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Families are metrics by their names.
type Families map[string]*dto.MetricFamily

// Parse reads a page.
func Parse(page []byte) (Families, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	return parser.TextToMetricFamilies(bytes.NewReader(page))
}

// Lint returns what is wrong with the names, types and texts of a page.
func (f Families) Lint() error {
	gather := func() ([]*dto.MetricFamily, error) { return slices.Collect(maps.Values(f)), nil }
	problems, err := testutil.GatherAndLint(prometheus.GathererFunc(gather))
	if err == nil && len(problems) > 0 {
		err = fmt.Errorf("%v", problems)
	}
	return err
}

// Value returns that of a metric: its first, or that with the value of a label.
func (f Families) Value(name string, label ...string) (v float64, found bool) {
	for _, m := range f[name].GetMetric() {
		if len(label) == 0 || slices.ContainsFunc(m.Label,
			func(l *dto.LabelPair) bool { return l.GetValue() == label[0] }) {
			return valueOf(m), true
		}
	}
	return 0, false
}

// Values returns those of a metric, in the page's order.
func (f Families) Values(name string) (all []float64) {
	for _, m := range f[name].GetMetric() {
		all = append(all, valueOf(m))
	}
	return all
}

func valueOf(m *dto.Metric) float64 {
	return m.GetCounter().GetValue() + m.GetGauge().GetValue() // it has one of them
}

package telemetry

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/internal/httpserver"
)

// get returns what a handler answers.
func get(h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w
}

// failing panics when it is asked.
type failing struct{}

func (failing) Describe(chan<- *prometheus.Desc) {}
func (failing) Collect(chan<- prometheus.Metric) { panic("no value") }

// TestAFailingMetricHidesNoOther: a registry collects in goroutines of its own, whose panic would
// end the program.
func TestAFailingMetricHidesNoOther(t *testing.T) {
	server := httpserver.New(zap.NewNop())
	good := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "good"}, func() float64 { return 1 })
	all := Gatherer(server, prometheus.Labels{"site": "a"}, good, failing{})
	w := get(Handler(server, all))
	text := w.Body.String()
	for _, want := range []string{`good{site="a"} 1`, `process_open_fds{site="a"} `} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in:\n%s", want, text)
		}
	}
	if w.Code != http.StatusOK || strings.Contains(text, "process_network_") {
		t.Errorf("%d:\n%s", w.Code, text)
	}
	if n := server.Stats.Panics.Load(); n != 1 {
		t.Errorf("%d panics counted, want 1", n)
	}
}

func TestHealth(t *testing.T) {
	if w := get(Health(func() error { return nil })); w.Code != http.StatusOK || w.Body.String() != "ok\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	w := get(Health(func() error { return errors.New("a reason") }))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "a reason") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

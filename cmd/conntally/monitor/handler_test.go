package monitor

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally/condition"
)

// TestHandlerAnswersEachPath: with and without profiles, and only GET and HEAD.
func TestHandlerAnswersEachPath(t *testing.T) {
	cases := []struct {
		method, path string
		profiles     bool
		code         int
		contentType  string // prefix
		text         string // part of the body
	}{
		{"GET", "/", false, 200, "text/html", `<a href="/metrics">`},
		{"GET", "/", true, 200, "text/html", `<a href="/debug/pprof/heap">`},
		{"HEAD", "/", false, 200, "text/html", ""},
		{"GET", "/metrics", false, 200, "text/plain; version=0.0.4", "conntally_flows 0\n"},
		{"GET", "/healthz", false, 200, "text/plain", "ok\n"},
		{"GET", "/nowhere", false, 404, "text/plain", ""},
		{"POST", "/metrics", false, 405, "text/plain", ""},
		{"DELETE", "/healthz", false, 405, "text/plain", ""},
		{"GET", "/debug/pprof/", false, 404, "text/plain", ""},
		{"GET", "/debug/pprof/heap", false, 404, "text/plain", ""},
		{"GET", "/debug/pprof/heap", true, 200, "application/octet-stream", ""},
		{"GET", "/debug/pprof/nothing", true, 404, "text/plain", "no such profile"},
		{"GET", "/debug/pprof/goroutine?debug=1", true, 200, "text/plain", "goroutine profile"},
		{"POST", "/debug/pprof/heap", true, 405, "text/plain", ""},
	}
	for _, c := range cases {
		s := newSources()
		s.Probe.Turned.Store(109 * second)
		s.Probe.Dumped.Store(108 * second)
		w := httptest.NewRecorder()
		s.Handler(c.profiles).ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		contentType := w.Header().Get("Content-Type")
		if w.Code != c.code || !strings.HasPrefix(contentType, c.contentType) ||
			!strings.Contains(w.Body.String(), c.text) {
			t.Errorf("%s %s, profiles %v: %d %v\n%s", c.method, c.path, c.profiles, w.Code, w.Header(), w.Body)
		}
	}
	if strings.Contains(get(newSources(), "/").Body.String(), "pprof") {
		t.Error("the index links to profiles, which are off")
	}
}

func get(s *Sources, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.Handler(false).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

// TestHealthNamesBlockedLoopAndFailingDumps: 200 while neither is the case.
func TestHealthNamesBlockedLoopAndFailingDumps(t *testing.T) {
	const interval = 20 * time.Second
	cases := []struct {
		name           string
		turned, dumped int64 // seconds ago, -1 never
		interval       time.Duration
		want           string
	}{
		{"working", 1, 5, interval, ""},
		{"idle", 10, 20, interval, ""},
		{"blocked", 31, 40, interval, "the loop has been blocked for 31s"},
		{"just started", 1, -1, interval, "no dump of conntrack has succeeded yet"},
		{"never started", 31, -1, interval, "blocked"},
		{"some dumps failed", 1, 59, interval, ""},
		{"dumps fail", 1, 61, interval, "was 1m1s ago; one is due every 20s"},
		{"polls are stretched", 1, 61, 42 * time.Second, ""},
		{"short polls", 1, 29, time.Second, ""},
		{"short polls fail", 1, 31, time.Second, "was 31s ago; one is due every 1s"},
	}
	for _, c := range cases {
		s := newSources()
		s.Probe.Interval.Store(int64(c.interval))
		s.Probe.Turned.Store((110 - c.turned) * second)
		if c.dumped >= 0 {
			s.Probe.Dumped.Store((110 - c.dumped) * second)
		}
		w := get(s, "/healthz")
		code, text := 200, "ok\n"
		if c.want != "" {
			code, text = 503, c.want
		}
		if w.Code != code || !strings.Contains(w.Body.String(), text) {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
	}
}

// TestEachConditionHasItsSample: and a failing one makes /healthz answer 503.
func TestEachConditionHasItsSample(t *testing.T) {
	s := newSources()
	s.Probe.Turned.Store(109 * second)
	s.Probe.Dumped.Store(108 * second)
	for _, d := range condition.Definitions() {
		holding := condition.Condition{ID: d.ID, Severity: d.Severity, Message: d.Message}
		s.Conditions = func() []condition.Condition { return []condition.Condition{holding} }
		sum := 0.0
		families := parsed(t, pageOf(s))
		for _, v := range families.Values("conntally_condition") {
			sum += v
		}
		if v, _ := families.Value("conntally_condition", string(d.ID)); v != 1 || sum != 1 {
			t.Errorf("%s is %v, all are %v", d.ID, v, sum)
		}
		w := get(s, "/healthz")
		code := 200
		if d.Severity == condition.Failing {
			code = 503
		}
		if w.Code != code || code == 503 && w.Body.String() != d.Message+"\n" {
			t.Errorf("%s: %d %s", d.ID, w.Code, w.Body)
		}
	}
}

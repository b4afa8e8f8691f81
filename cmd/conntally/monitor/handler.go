package monitor

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/conntally/conntally/cmd/conntally/condition"
)

// Handler returns a handler for metrics, health and, if asked for, profiles.
func (s *Sources) Handler(profiles bool) http.Handler {
	mux := http.NewServeMux()
	links := []string{"/metrics", "/healthz"}
	mux.Handle("GET /metrics", s.metricsHandler())
	mux.HandleFunc("GET /healthz", s.serveHealth)
	if profiles {
		links = append(links, "/debug/pprof/heap", "/debug/pprof/goroutine?debug=1",
			"/debug/pprof/profile")
		mux.HandleFunc("GET /debug/pprof/{name}", serveProfile)
		mux.HandleFunc("GET /debug/pprof/profile", serveCPUProfile)
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { s.index(w, links) })
	return mux
}

// serveHealth answers 200 while the probe works, otherwise 503 and why: its loop is blocked,
// dumps fail, or a failing condition holds.
func (s *Sources) serveHealth(w http.ResponseWriter, _ *http.Request) {
	err := errors.Join(s.Probe.Health(s.Clock().Mono), condition.Err(s.Conditions()))
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n")
}

// index answers with a page of links for browsers.
func (s *Sources) index(w http.ResponseWriter, links []string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, "<!DOCTYPE html>\n<title>conntally</title>\n<h1>conntally</h1>\n<ul>\n")
	for _, link := range links {
		fmt.Fprintf(w, "<li><a href=%q>%s</a></li>\n", link, link)
	}
	fmt.Fprint(w, "</ul>\n")
}

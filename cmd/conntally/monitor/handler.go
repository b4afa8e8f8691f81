package monitor

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/internal/telemetry"
)

// Handler returns a handler for metrics, health and, if asked for, profiles.
func (s *Sources) Handler(profiles bool) http.Handler {
	mux := http.NewServeMux()
	links := []string{"/metrics", "/healthz"}
	mux.Handle("GET /metrics", telemetry.Handler(s.Server, s.gatherer()))
	mux.Handle("GET /healthz", telemetry.Health(s.health))
	if profiles {
		links = append(links, "/debug/pprof/heap", "/debug/pprof/goroutine?debug=1",
			"/debug/pprof/profile")
		mux.HandleFunc("GET /debug/pprof/{name}", serveProfile)
		mux.HandleFunc("GET /debug/pprof/profile", serveCPUProfile)
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { s.index(w, links) })
	return mux
}

// health fails while the probe's loop is blocked, dumps fail, or a failing condition holds.
func (s *Sources) health() error {
	return errors.Join(s.Probe.Health(s.Clock().Mono), condition.Err(s.Conditions()))
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

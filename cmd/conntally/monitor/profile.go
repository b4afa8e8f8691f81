package monitor

import (
	"net/http"
	"runtime/pprof"
	"strconv"
	"time"
)

// Profiles are served as `go tool pprof` asks for them. net/http/pprof does more, and
// weighs 0.3 MB more.

const (
	defaultProfile = 30 * time.Second
	maxProfile     = 50 * time.Second // the server ends longer responses
)

// serveProfile answers with one of the runtime's profiles, such as heap or goroutine.
func serveProfile(w http.ResponseWriter, r *http.Request) {
	profile := pprof.Lookup(r.PathValue("name"))
	if profile == nil {
		http.Error(w, "no such profile: want heap, allocs, goroutine or profile",
			http.StatusNotFound)
		return
	}
	debug, _ := strconv.Atoi(r.FormValue("debug")) // 0, for pprof; 1 is text
	w.Header().Set("Content-Type", "application/octet-stream")
	if debug > 0 {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	_ = profile.WriteTo(w, debug) // the client may have gone
}

// serveCPUProfile answers with where the CPU's time goes during ?seconds=.
func serveCPUProfile(w http.ResponseWriter, r *http.Request) {
	wait := defaultProfile
	if seconds, err := strconv.Atoi(r.FormValue("seconds")); err == nil && seconds > 0 {
		wait = min(time.Duration(seconds)*time.Second, maxProfile)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := pprof.StartCPUProfile(w); err != nil { // another one is under way
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	defer pprof.StopCPUProfile()
	select {
	case <-r.Context().Done():
	case <-time.After(wait):
	}
}

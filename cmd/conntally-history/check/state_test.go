package check

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/conntally/conntally/cmd/conntally-history/config"
	"github.com/conntally/conntally/cmd/conntally-history/web"
	shared "github.com/conntally/conntally/cmd/internal/condition"
	"github.com/conntally/conntally/cmd/internal/setting"
)

// TestServiceWithAPasswordIsKnown: its page answers nobody else, so that it says so.
func TestServiceWithAPasswordIsKnown(t *testing.T) {
	locked := httptest.NewServer(nil)
	defer locked.Close()
	for realm, want := range map[string]bool{web.Realm: true, "a router": false} {
		locked.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q", realm))
			w.WriteHeader(http.StatusUnauthorized)
		})
		w := config.Web{Enable: true, Listen: setting.Listen(locked.Listener.Addr().String())}
		if s := ask(t.Context(), &w); s.Locked != want || (s.Err == nil) != want {
			t.Errorf("%s: %+v", realm, s)
		}
	}
}

// TestServiceIsKnownByAWholeAnswer: conditions may stand in what is missing.
func TestServiceIsKnownByAWholeAnswer(t *testing.T) {
	const (
		held = conditionMetric + `a` + holds + "\n"
		rest = conditionMetric + `b"} 0` + "\n"
	)
	filler := strings.Repeat("x 1\n", maxMetrics/4)
	for name, c := range map[string]struct {
		body string
		size int // as the header says
		err  string
	}{
		"whole":           {held + rest, len(held + rest), ""},
		"broken off":      {held, len(held + rest), "break off"},
		"too large":       {held + filler, len(held + filler), "too large"},
		"another program": {"hello\n", 6, "another program"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(
				func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Length", strconv.Itoa(c.size))
					_, _ = w.Write([]byte(c.body)) // the reader may be gone
				}))
			defer server.Close()
			w := config.Web{Enable: true, Listen: setting.Listen(server.Listener.Addr().String())}
			s := ask(t.Context(), &w)
			switch {
			case c.err == "" && (s.Err != nil || !slices.Equal(s.Conditions, []shared.ID{"a"})):
				t.Errorf("%v, %v", s.Conditions, s.Err)
			case c.err != "" && (s.Err == nil || !strings.Contains(s.Err.Error(), c.err)):
				t.Errorf("%v, want one of %q", s.Err, c.err)
			}
		})
	}
}

package web

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/zap/zaptest"
)

// get asks a handler for a page as a browser on this machine does.
func get(t testing.TB, h http.Handler, target string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = "127.0.0.1:9470"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// newSite returns the pages of a household.
func newSite(t testing.TB, change func(*Options, *memory)) http.Handler {
	t.Helper()
	o, m := household(t)
	o.Log = zaptest.NewLogger(t)
	if change != nil {
		change(&o, m)
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

package web

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/internal/httpserver"
)

//go:embed testdata/inspect.js
var inspect string

// views are addresses of all kinds of pages, by the name of their screenshot.
func views() map[string]string {
	return map[string]string{
		"overview":     "/",
		"devices":      "/devices",
		"devices-day":  "/devices?period=day&sort=up&order=last&at=2026-11-28",
		"device":       "/device?id=02:00:00:00:00:01&period=month",
		"device-named": "/device?id=02:00:00:00:00:07",
		"services":     "/services?period=day",
		"losses":       "/losses",
		"export":       "/export",
		"failure":      "/nowhere",
	}
}

// alone returns how to do something in a network namespace with nothing but loopback; where
// there can be none, it is done here.
func alone(t *testing.T) func(func() error) error {
	t.Helper()
	if lab.Available() != nil {
		return func(fn func() error) error { return fn() }
	}
	ns, err := lab.NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	if err := ns.IP("link set lo up"); err != nil {
		t.Fatal(err)
	}
	return ns.Do
}

// serveSite serves a site on loopback until the end of the test.
func serveSite(t *testing.T, do func(func() error) error, o Options) (origin string) {
	t.Helper()
	handler, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	var l net.Listener
	if err := do(func() (err error) { l, err = net.Listen("tcp", "127.0.0.1:0"); return err }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- httpserver.New(zap.NewNop()).Serve(ctx, l, handler) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// TestPagesInABrowser: each view without JavaScript, on a wide screen in light colours and on a
// phone in dark ones, and some the other way round. The page fits, can be read, is complete for those who can't see it, asks for
// nothing elsewhere, and the browser's console has nothing to say. CONNTALLY_SCREENSHOTS is
// the directory for a picture of each.
func TestPagesInABrowser(t *testing.T) {
	do := alone(t)
	o, _ := household(t)
	b := startBrowser(t, do)
	origin := serveSite(t, do, o)
	all := slices.Sorted(maps.Keys(views()))
	for _, screen := range []struct {
		width, height int
		scheme        string
		views         []string
	}{
		{1280, 800, "light", all}, {390, 844, "dark", all},
		{1280, 800, "dark", []string{"overview", "device"}},
		{390, 844, "light", []string{"overview", "device"}},
	} {
		b.screen(screen.width, screen.height, screen.scheme)
		for _, name := range screen.views {
			path := views()[name]
			where := fmt.Sprintf("%s-%d-%s", name, screen.width, screen.scheme)
			b.open(origin + path)
			if faults := b.evaluate(inspect); faults != "" {
				t.Errorf("%s:\n%s", where, faults)
			}
			checkTraffic(t, b, where, origin, path)
			if dir := os.Getenv("CONNTALLY_SCREENSHOTS"); dir != "" {
				b.screenshot(filepath.Join(dir, where+".png"))
			}
		}
	}
}

// checkTraffic checks what the page asked for, and what the browser said about that.
func checkTraffic(t *testing.T, b *browser, where, origin, path string) {
	t.Helper()
	allowed := []string{origin + path, origin + "/style.css", origin + "/icon.svg"}
	requests := b.requests()
	if !slices.Contains(requests, origin+"/style.css") {
		t.Errorf("%s: the style sheet wasn't asked for: %q", where, requests)
	}
	for _, url := range requests {
		// The browser draws its own controls by data addresses, which name no host.
		if !slices.Contains(allowed, url) && !strings.HasPrefix(url, "data:") {
			t.Errorf("%s: asked for %s", where, url)
		}
	}
	for _, said := range b.complaints() {
		if path == "/nowhere" && strings.Contains(said, "404") {
			continue
		}
		t.Errorf("%s: %.500s", where, said)
	}
}

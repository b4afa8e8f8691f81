package probe

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/flow/route"
)

// serveHTTP serves the metrics of a loop, and returns a function that requests a path.
func (l *loop) serveHTTP() func(path string) (code int, text string) {
	l.t.Helper()
	c := config.Default()
	c.Metrics.Listen = config.Listen(freePort(l.t))
	if _, err := l.serveMetrics(l.t.Context(), c); err != nil {
		l.t.Fatal(err)
	}
	return func(path string) (int, string) {
		l.t.Helper()
		response, err := http.Get("http://" + string(c.Metrics.Listen) + path)
		if err != nil {
			l.t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			l.t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
}

// freePort returns an address that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// refusing is a dump socket that refuses requests while refuses is set.
type refusing struct {
	ctnetlink.Socket
	refuses atomic.Bool
}

// Send implements ctnetlink.Socket.
func (r *refusing) Send(b []byte) error {
	if r.refuses.Load() {
		return unix.EPERM
	}
	return r.Socket.Send(b)
}

// TestHealthFollowsLoopAndDumps: the probe is unhealthy while an exporter blocks its loop
// and while the kernel refuses dumps, and healthy otherwise.
func TestHealthFollowsLoopAndDumps(t *testing.T) {
	k := conntracktest.New()
	events, dumps := k.Sockets()
	refusing := &refusing{Socket: dumps}
	l := newLoop(t, ctnetlink.NewReader(events, refusing, k.Clock()), k.Clock())
	l.routes = new(route.Resolver)
	l.Stats.Turned.Store(k.Clock()().Mono)
	get := l.serveHTTP()
	is := func(code int, text string) func() bool {
		return func() bool {
			c, body := get("/healthz")
			return c == code && strings.Contains(body, text)
		}
	}
	if !is(503, "no dump of conntrack has succeeded yet")() {
		t.Error("healthy before the first dump")
	}
	l.start()
	l.until("200", is(200, "ok"))

	l.gated.Store(true)
	key := k.Create(conntrack.Event{Orig: faultTuple()})
	k.Count(key, conntrack.Original, 1, 100)
	k.Destroy(key)
	l.until("the exporter to block", l.waits.Load)
	k.Advance(31 * time.Second)
	if !is(503, "the loop has been blocked for 3")() {
		t.Error(get("/healthz"))
	}
	l.gated.Store(false)
	close(l.gate)
	l.until("200 again", is(200, "ok"))

	refusing.refuses.Store(true)
	l.until("503 without dumps", is(503, "the last successful dump of conntrack was"))
	refusing.refuses.Store(false)
	l.until("200 at last", is(200, "ok"))
	l.cancel()
	if err := <-l.ends; err != nil {
		t.Error(err)
	}
}

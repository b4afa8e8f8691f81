package httpserver

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// hello is a handler that panics on one path.
func hello() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello "+r.URL.Path) })
	mux.HandleFunc("/fault", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half a resp")
		panic("a fault")
	})
	return mux
}

// serving serves a handler on a loopback port until the end of the test.
func serving(t *testing.T, s *Server, handler http.Handler) (address string) {
	t.Helper()
	l, err := Listen(t.Context(), "127.0.0.1:0", zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l, handler) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// TestRequestsWithinLimits: larger and other ones are rejected.
func TestRequestsWithinLimits(t *testing.T) {
	address := serving(t, New(zap.NewNop()), hello())
	much := "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 3*maxHeader) + "\r\n\r\n"
	for _, c := range []struct{ request, response, body string }{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n", "hello /"},
		{"GET /x HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\n", "hello /x"},
		{"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n", ""},
		{"GET /../x HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 307 Temporary Redirect\r\n", "<a"},
		{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n", "Method"},
		{"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n", "Method"},
		{"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n", "Method"},
		{"GET\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "400"},
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "400"}, // TLS
		{much, "HTTP/1.1 431 Request Header Fields Too Large\r\n", "431"},
	} {
		got := exchange(t, address, c.request)
		head, body, _ := strings.Cut(got, "\r\n\r\n")
		if !strings.HasPrefix(head, c.response) || !strings.HasPrefix(body, c.body) || (body != "") != (c.body != "") {
			t.Errorf("%.40q...: %q, want %q", c.request, got, c.response)
		}
	}
}

// exchange sends a request and returns all that comes back.
func exchange(t *testing.T, address, request string) string {
	t.Helper()
	conn := dial(t, address)
	defer conn.Close()
	_, _ = io.WriteString(conn, request)             // a request too long is not read to its end
	_ = conn.(*net.TCPConn).CloseWrite()             // it may be closed already
	response, _ := io.ReadAll(bufio.NewReader(conn)) // a reset comes after the response
	return string(response)
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestHandlerPanicAbortsResponse: it is counted and logged, the server continues, and no
// client takes half a response for a whole one.
func TestHandlerPanicAbortsResponse(t *testing.T) {
	core, logged := observer.New(zapcore.DebugLevel)
	s := New(zap.New(core))
	address := serving(t, s, hello())
	for i := range 3 {
		if response, err := http.Get("http://" + address + "/fault"); err == nil {
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err == nil {
				t.Errorf("a half response looks whole: %q", body)
			}
		}
		if got := s.Stats.Panics.Load(); got != uint64(i+1) {
			t.Errorf("%d faults counted after %d", got, i+1)
		}
		if got := exchange(t, address, "GET / HTTP/1.0\r\n\r\n"); !strings.Contains(got, "hello") {
			t.Errorf("after a fault: %q", got)
		}
	}
	entries := logged.FilterLevelExact(zapcore.ErrorLevel).All()
	if len(entries) != 3 || entries[0].ContextMap()["panic"] != "a fault" ||
		!strings.Contains(entries[0].ContextMap()["stack"].(string), "server_test.go") || logged.Len() != 3 {
		t.Errorf("logged %v", logged.All())
	}
}

// TestRecoverInGoroutineOfHandler: a panic there doesn't end the program, and is counted.
func TestRecoverInGoroutineOfHandler(t *testing.T) {
	s := New(zap.NewNop())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer s.Recover()
		panic("a fault")
	}()
	<-done
	if s.Stats.Panics.Load() != 1 {
		t.Error("not counted")
	}
}

// pipes is a listener of connections in memory, as synctest needs.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// TestSlowClientsTimeOut: each phase of a connection after its time, and not before.
func TestSlowClientsTimeOut(t *testing.T) {
	for name, c := range map[string]struct {
		sends string
		after time.Duration
	}{
		"says nothing":               {"", readTimeout},
		"stops in the request":       {"GET / HTTP/1.1\r\nHost:", readTimeout},
		"asks and doesn't read":      {"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n", writeTimeout},
		"asks nothing more":          {"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", idleTimeout},
		"doesn't send what it says ": {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", readTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { slowClient(t, c.sends, c.after) })
		})
	}
}

func slowClient(t *testing.T, sends string, after time.Duration) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	listener, ended := make(pipes), make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for err := error(nil); err == nil && r.URL.Path == "/endless"; {
			_, err = w.Write(make([]byte, 1<<10))
		}
	})
	go func() { ended <- New(zap.NewNop()).Serve(ctx, listener, handler) }()
	ours, theirs := net.Pipe()
	closed := make(chan struct{})
	listener <- noticing{theirs, closed}
	began := time.Now()
	if _, err := io.WriteString(ours, sends); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(sends, "endless") {
		go func() { _, _ = io.Copy(io.Discard, ours) }()
	}
	<-closed
	if took := time.Since(began); took < after || took > after+time.Second {
		t.Errorf("given up after %v, want %v", took, after)
	}
	ours.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// noticing is a connection that reports when it is closed.
type noticing struct {
	net.Conn
	closed chan struct{}
}

func (n noticing) Close() error {
	select {
	case <-n.closed:
	default:
		close(n.closed)
	}
	return n.Conn.Close()
}

// TestAtMostMaxConnectionsAtATime: the other clients wait, and all are served in the end.
func TestAtMostMaxConnectionsAtATime(t *testing.T) { synctest.Test(t, maxConnectionsAtATime) }

func maxConnectionsAtATime(t *testing.T) {
	const clients = 3 * maxConnections
	ctx, cancel := context.WithCancel(t.Context())
	listener, ended := make(pipes), make(chan error, 1)
	var asked atomic.Int64
	release := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		<-release
		_, _ = io.WriteString(w, "hello")
	})
	go func() { ended <- New(zap.NewNop()).Serve(ctx, listener, handler) }()
	responses := make(chan string, clients)
	for range clients {
		go func() {
			ours, theirs := net.Pipe()
			listener <- theirs
			_, _ = io.WriteString(ours, "GET / HTTP/1.0\r\n\r\n")
			response, _ := io.ReadAll(ours)
			responses <- string(response)
		}()
	}
	synctest.Wait() // until nothing more happens
	if n := asked.Load(); n != maxConnections {
		t.Errorf("%d served at a time, want %d", n, maxConnections)
	}
	close(release)
	for range clients {
		if got := <-responses; !strings.Contains(got, "hello") {
			t.Errorf("%q", got)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestShutdownFinishesResponses: one in progress is sent, one that hangs is abandoned, and
// the port is free.
func TestShutdownFinishesResponses(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		l, err := Listen(t.Context(), "127.0.0.1:0", zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		asked, free, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- New(zap.NewNop()).Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(asked)
				<-r.Context().Done() // the end reaches the handler
				if hangs {
					<-free
				}
				_, _ = io.WriteString(w, "whole")
			}))
		}()
		conn := dial(t, l.Addr().String())
		if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		<-asked
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		close(free)
		if got, _ := io.ReadAll(conn); strings.Contains(string(got), "whole") == hangs {
			t.Errorf("hangs %v: %q", hangs, got)
		}
		if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
			conn.Close()
			t.Error("the port is still open")
		}
	}
}

// exhausted is a listener that fails a number of times, then is closed.
type exhausted struct {
	net.Listener
	failures int
}

func (l *exhausted) Accept() (net.Conn, error) {
	if l.failures == 0 {
		return nil, net.ErrClosed
	}
	l.failures--
	return nil, syscall.ENOMEM
}

// TestAcceptIsRetriedAfterDelay: failures neither end the server nor use up the CPU.
func TestAcceptIsRetriedAfterDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		l := &retryListener{Listener: &exhausted{failures: 3}, log: zap.NewNop()}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if took := time.Since(began); took != 3*retryDelay {
			t.Errorf("three failures in %v", took)
		}
	})
}

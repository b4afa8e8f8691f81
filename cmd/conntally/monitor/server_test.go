package monitor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/internal/logging"
)

// serving serves until the end of the test, and returns where.
func serving(t *testing.T) string {
	t.Helper()
	return servingUntil(t.Context(), t)
}

func servingUntil(ctx context.Context, t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // an address that is free a moment later
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	address := l.Addr().String()
	if err := Serve(ctx, Options{Address: address}, newSources(), zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	return address
}

func TestServe(t *testing.T) {
	address := serving(t)
	for range 2 {
		response, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != 200 || response.Header.Get("Content-Type") != contentType {
			t.Errorf("%d %v %v", response.StatusCode, response.Header, err)
		}
		if parsed(t, page)["conntally_flows"] == nil {
			t.Errorf("%s", page)
		}
	}
	err := Serve(t.Context(), Options{Address: address}, newSources(), zap.NewNop())
	if want := "can't serve metrics at " + address + ": address already in use"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestServeNowhere(t *testing.T) {
	for address, want := range map[string]string{
		"nohost.invalid:80":  "can't serve metrics at nohost.invalid:80: ",
		"127.0.0.1:nonsense": "can't serve metrics at 127.0.0.1:nonsense: ",
	} {
		err := Serve(t.Context(), Options{Address: address}, newSources(), zap.NewNop())
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestServeLate: an address that comes after the server is served from then on.
func TestServeLate(t *testing.T) {
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	for address, add := range map[string]string{
		"192.0.2.1:9469":     "address add 192.0.2.1/24 dev lo",
		"[2001:db8::1]:9469": "address add 2001:db8::1/64 dev lo nodad",
	} {
		host, err := lab.NewNamespace()
		if err != nil {
			t.Fatal(err)
		}
		defer host.Close()
		var said bytes.Buffer
		log := logging.New(&said, logging.FormatConsole, zap.InfoLevel)
		serve := func() error { return Serve(t.Context(), Options{Address: address}, newSources(), log) }
		if err := errors.Join(host.IP("link set lo up"), host.Do(serve)); err != nil {
			t.Fatal(err)
		}
		if err := host.Do(serve); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s, a second time: %v", address, err)
		}
		if err := host.IP(add); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(said.String(), "WARN") || !strings.Contains(said.String(), address) {
			t.Errorf("%s: said %s", address, &said)
		}
		there := func() error { // the kernel adds the route of an IPv6 address a moment later
			conn, err := net.Dial("tcp", address)
			if err == nil {
				conn.Close()
			}
			return err
		}
		for end := time.Now().Add(5 * time.Second); host.Do(there) != nil && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if err := host.Do(func() error {
			if got := exchange(t, address, "GET /metrics HTTP/1.0\r\n\r\n"); !strings.Contains(got, "conntally_flows 0\n") {
				t.Errorf("%s: %q", address, got)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRequests sends what clients may send. Where the answer is "", the connection ends
// without one.
func TestRequests(t *testing.T) {
	address := serving(t)
	much := "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", mostHeader)
	for _, c := range []struct {
		request, answer string
		body            bool
	}{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ", true},
		{"GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", true},
		{"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n", true},
		{"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ", false},
		{"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 503 Service Unavailable\r\n", true},
		{"GET /../metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 307 Temporary Redirect\r\n", true},
		{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n", true},
		{"\r\n", "", false},
		{"GET\r\n\r\n", "", false},
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "", false}, // TLS
		{much, "", false},
	} {
		got := exchange(t, address, c.request)
		head, body, _ := strings.Cut(got, "\r\n\r\n")
		if !strings.HasPrefix(head, c.answer) || (c.answer == "") != (got == "") || (body != "") != c.body {
			t.Errorf("%.40q...: %q, want %q", c.request, got, c.answer)
		}
	}
}

// exchange sends a request and returns all that comes back.
func exchange(t *testing.T, address, request string) string {
	t.Helper()
	conn := dial(t, address)
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()           // it may be closed already
	answer, _ := io.ReadAll(bufio.NewReader(conn)) // a reset is no answer
	return string(answer)
}

// dawdler is a connection that times out.
type dawdler struct {
	net.Conn
	read, write time.Time
	closed      bool
}

func (d *dawdler) SetReadDeadline(at time.Time) error  { d.read = at; return nil }
func (d *dawdler) SetWriteDeadline(at time.Time) error { d.write = at; return nil }
func (d *dawdler) Read([]byte) (int, error)            { return 0, os.ErrDeadlineExceeded }
func (d *dawdler) Close() error                        { d.closed = true; return nil }

func TestDawdler(t *testing.T) {
	d, now := new(dawdler), time.Now()
	(&server{}).answer(context.Background(), d)
	if read := d.read.Sub(now); read <= 0 || read > 10*time.Second {
		t.Errorf("a request may take %v", read)
	}
	if write := d.write.Sub(now); write <= 0 || write > 2*time.Minute {
		t.Errorf("an answer may take %v", write)
	}
	if !d.closed {
		t.Error("the connection stays open")
	}
}

// TestMostConnections: one more than there may be waits until another one is over.
func TestMostConnections(t *testing.T) {
	address := serving(t)
	var idle []net.Conn
	for range mostConnections {
		idle = append(idle, dial(t, address))
	}
	more := dial(t, address)
	if _, err := io.WriteString(more, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := readBy(t, more, 200*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("beside %d others: %q, %v", len(idle), got, err)
	}
	idle[0].Close()
	if got, err := readBy(t, more, 10*time.Second); err != nil || !strings.HasPrefix(got, "HTTP/1.1 200 OK") {
		t.Errorf("after the end of one: %q, %v", got, err)
	}
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

// readBy reads until the other side closes, at most for so long.
func readBy(t *testing.T, conn net.Conn, patience time.Duration) (string, error) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(conn)
	return string(b), err
}

// TestServeEnds: the port is free once the program ends.
func TestServeEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	address := servingUntil(ctx, t)
	cancel()
	for end := time.Now().Add(10 * time.Second); ; {
		conn, err := net.Dial("tcp", address)
		if err != nil { // which one qemu doesn't translate for MIPS
			return
		}
		conn.Close()
		if time.Now().After(end) {
			t.Fatal("the port is still open")
		}
	}
}

// exhausted is a listener that fails so often, then is closed.
type exhausted struct {
	net.Listener
	failures int
}

func (l *exhausted) Accept() (net.Conn, error) {
	if l.failures == 0 {
		return nil, net.ErrClosed
	}
	l.failures--
	return nil, syscall.EMFILE
}

// TestAcceptRests: what goes on failing doesn't take the processor.
func TestAcceptRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		(&server{log: zap.NewNop()}).serve(t.Context(), &exhausted{failures: 3})
		if took := time.Since(began); took != 3*acceptRest {
			t.Errorf("three failures in %v", took)
		}
	})
}

// A buffer that held one answer holds the next, and no part of both.
func TestBodiesAreUsedAgain(t *testing.T) {
	s := &server{handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path)
	})}
	for range 10 {
		for _, want := range []string{"/long/enough/to/leave/something/behind", "/short"} {
			ours, theirs := net.Pipe()
			go s.answer(t.Context(), theirs)
			go func() { _, _ = io.WriteString(ours, "GET "+want+" HTTP/1.1\r\nHost: x\r\n\r\n") }()
			got, err := io.ReadAll(ours)
			if _, body, _ := strings.Cut(string(got), "\r\n\r\n"); err != nil || body != want {
				t.Fatalf("%q, want %q, %v", body, want, err)
			}
		}
	}
}

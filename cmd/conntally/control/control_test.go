package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/control"
	"github.com/conntally/conntally/cmd/conntally/control/controltest"
	"github.com/conntally/conntally/cmd/internal/httpserver"
)

func readAt() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 123456789, time.UTC) }

// serve serves a source on a socket until the end of the test.
func serve(t *testing.T, s control.Source) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "control.sock")
	ctx, cancel := context.WithCancel(t.Context())
	wait, err := control.Serve(ctx, path, s, httpserver.New(zap.NewNop()), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); wait() })
	return path
}

func dial(t *testing.T, path string) *control.Client {
	t.Helper()
	c, err := control.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestClientGetsWhatSourceHas: a Client is a Source as good as the one behind the socket.
func TestClientGetsWhatSourceHas(t *testing.T) {
	source := controltest.New(readAt())
	source.Change(func(s *control.Status, _ *[]control.Device, _ *[]control.Flow) {
		s.Conditions = []condition.Condition{
			condition.Complete(condition.Condition{ID: condition.AcctOff}),
		}
	})
	client, ctx := dial(t, serve(t, source)), t.Context()
	for name, ask := range map[string]func(control.Source) (any, error){
		"status":     func(s control.Source) (any, error) { return s.Status(ctx) },
		"conditions": func(s control.Source) (any, error) { return s.Conditions(ctx) },
		"devices":    func(s control.Source) (any, error) { return s.Devices(ctx, 2*time.Second) },
		"flows":      func(s control.Source) (any, error) { return s.Flows(ctx, "", 3, 0) },
		"one's flows": func(s control.Source) (any, error) {
			return s.Flows(ctx, "2001:DB8::122", control.MaxLimit, 0)
		},
	} {
		want, _ := ask(source)
		got, err := ask(client)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n%+v\nwant\n%+v", name, err, got, want)
		}
	}
	_, err := client.Flows(ctx, "nobody", 1, 0)
	if !errors.Is(err, control.ErrNoDevice) {
		t.Errorf("an unknown device: %v", err)
	}
	source.Fail(errors.New("not read yet"))
	if _, err := client.Devices(ctx, 0); err == nil || err.Error() != "not read yet" {
		t.Errorf("a source that fails: %v", err)
	}
}

// TestRequests: what each is answered with.
func TestRequests(t *testing.T) {
	source := controltest.New(readAt())
	for _, c := range []struct {
		method, target string
		status         int
		body           string // is part of it
	}{
		{"GET", "/v1/status", 200, `{"version":"1.2.3","source":"netlink",`},
		{"GET", "/v1/conditions", 200, "[]\n"},
		{"GET", "/v1/devices", 200, `[{"device":"02:00:00:00:00:01","name":"smart-tv",`},
		{"HEAD", "/v1/devices", 200, ""},
		{"GET", "/v1/devices?max_age=2s", 200, `"lan":{"up_bytes":2000000,`},
		{"GET", "/v1/flows?device=smart-tv&limit=1", 200, `"omitted":1,"flows":[{"id":"0`},
		{"GET", "/v1/flows?device=nobody", 404, `{"error":"no such device`},
		{"GET", "/", 404, "there are /v1/status, /v1/conditions, /v1/devices, /v1/flows"},
		{"GET", "/v1/status/", 404, "no such path"},
		{"GET", "/v1/../v1/status", 404, "no such path"},
		{"GET", "/v1/status?x=1", 400, "this path takes none"},
		{"GET", "/v1/flows?devise=tv", 400, `\"devise\"; there are device, limit, max_age`},
		{"GET", "/v1/flows?limit=0", 400, "limit: want a number from 1 to 10000"},
		{"GET", "/v1/flows?limit=10001", 400, "limit"},
		{"GET", "/v1/flows?limit=1&limit=2", 400, "2 times"},
		{"GET", "/v1/flows?max_age=-1s", 400, "max_age"},
		{"GET", "/v1/devices?max_age=1000h", 400, "max_age"},
		{"GET", "/v1/devices?max_age=%zz", 400, "malformed"},
		{"POST", "/v1/status", 405, "read only"},
		{"DELETE", "/v1/flows", 405, "read only"},
	} {
		w := httptest.NewRecorder()
		control.Handler(source).ServeHTTP(w, httptest.NewRequest(c.method, c.target, nil))
		body := w.Body.String()
		if w.Code != c.status || !strings.Contains(body, c.body) {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.target, w.Code, body, c.status, c.body)
		}
		if c.method != "HEAD" && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: no JSON: %s", c.method, c.target, body)
		}
	}
}

// TestDialSaysWhatIsMissing: that the service isn't there, or isn't for this user.
func TestDialSaysWhatIsMissing(t *testing.T) {
	directory := t.TempDir()
	left := filepath.Join(directory, "left.sock")
	l, err := net.Listen("unix", left)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	for path, want := range map[string]string{
		filepath.Join(directory, "none.sock"): "conntally isn't running, or [control] is off: " +
			filepath.Join(directory, "none.sock") + ": no such file or directory",
		left: "conntally isn't running, or [control] is off: " + left + ": connection refused",
		filepath.Join(directory, strings.Repeat("x", 200)): "invalid argument",
	} {
		_, err := control.Dial(t.Context(), path)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// TestClientRejectsOtherAnswers: those of another program on that socket, and endless ones.
func TestClientRejectsOtherAnswers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	const foreign = "not an answer of conntally"
	for name, c := range map[string]struct{ answer, want string }{
		"nothing":      {"", foreign},
		"not HTTP":     {"220 mail.example.org ESMTP\r\n", foreign},
		"a page":       {"HTTP/1.1 404 Not Found\r\n\r\n<html>", "404 Not Found"},
		"half":         {ok + "Content-Length: 9\r\n\r\n[{\"dev", foreign},
		"not the time": {ok + "Last-Read: noon\r\n\r\n[]", foreign},
		"an object":    {ok + "\r\n{}", "a list is missing"},
		"too many":     {ok + "\r\n[{}" + strings.Repeat(",{}", 70000) + "]", "more than 65536"},
		"endless":      {ok + "\r\n[" + strings.Repeat(" ", 3<<20), "more than 2 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
					go func() {
						_, _ = conn.Read(make([]byte, 1000)) // Dial only tries
						_, _ = io.WriteString(conn, c.answer)
						conn.Close()
					}()
				}
			}()
			client := dial(t, path)
			client.LimitAnswers(2 << 20)
			_, err = client.Devices(t.Context(), 0)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// TestRequestEndsWithContext: whatever the service does.
func TestRequestEndsWithContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path) // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := dial(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

package httpserver

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/conntally/conntally/bench/lab"
)

// TestListenOnAddressThatComesLater: it is served once an interface has it.
func TestListenOnAddressThatComesLater(t *testing.T) {
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	for address, add := range map[string]string{
		"192.0.2.1:9469":     "address add 192.0.2.1/24 dev lo",
		"[2001:db8::1]:9469": "address add 2001:db8::1/64 dev lo nodad",
	} {
		t.Run(address, func(t *testing.T) { listenLate(t, address, add) })
	}
}

func listenLate(t *testing.T, address, add string) {
	host, err := lab.NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	core, logged := observer.New(zap.InfoLevel)
	log := zap.New(core)
	var listener net.Listener
	listen := func() (err error) { listener, err = Listen(t.Context(), address, log); return err }
	if err := errors.Join(host.IP("link set lo up"), host.Do(listen)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func(l net.Listener) { ended <- New(log).Serve(ctx, l, hello()) }(listener)
	if err := host.Do(listen); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second time: %v", err)
	}
	if err := host.IP(add); err != nil {
		t.Fatal(err)
	}
	if lines := logged.All(); len(lines) != 2 || lines[0].Level != zap.WarnLevel || lines[0].ContextMap()["address"] != address {
		t.Errorf("logged %v", lines)
	}
	there := func() error { // the kernel adds the route of an IPv6 address a moment later
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err
	}
	for end := time.Now().Add(10 * time.Second); host.Do(there) != nil && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if err := host.Do(func() error {
		if got := exchange(t, address, "GET / HTTP/1.0\r\n\r\n"); !strings.Contains(got, "hello") {
			t.Errorf("%q", got)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestListenUnixReplacesAbandonedSocket: but neither one in use nor another kind of file.
// The mode doesn't depend on the umask, and closing removes the socket.
func TestListenUnixReplacesAbandonedSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	abandonSocket(t, path)
	for range 2 {
		l, err := ListenUnix(t.Context(), path, 0o660)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
			t.Errorf("%v %v", info.Mode(), err)
		}
		if _, err := ListenUnix(t.Context(), path, 0o660); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("a second time: %v", err)
		}
		serveUnix(t, l, path)
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("still there: %v", err)
		}
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenUnix(t.Context(), path, 0o660); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a file: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "precious" {
		t.Errorf("%q %v", text, err)
	}
}

// abandonSocket leaves a socket behind, as a killed program does.
func abandonSocket(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
}

// serveUnix serves one request on that socket.
func serveUnix(t *testing.T, l net.Listener, path string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- New(zap.NewNop()).Serve(ctx, l, hello()) }()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", path) },
	}}
	response, err := client.Get("http://conntally/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "hello /v1/status" {
		t.Errorf("%q %v", body, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

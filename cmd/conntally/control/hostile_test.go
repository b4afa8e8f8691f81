package control_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally/control"
	"github.com/conntally/conntally/cmd/conntally/control/controltest"
	"github.com/conntally/conntally/cmd/internal/httpserver"
)

// pipes is a listener of connections in memory, whose clocks are those of synctest.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (p pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p <- theirs
	return ours
}

// hostile are requests of clients that never read an answer.
func hostile() []string {
	return []string{
		"",
		"GET /v1/flows?limit=10000 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v1/status HTTP/1.1\r\nX: " + strings.Repeat("x", 2000),
		"POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
		"GET /v1/status HTTP/1.1\r\nX: " + strings.Repeat("x", 1<<20),
	}
}

// TestHostileClientsDontHoldOthers: six of each kind delay an honest client by a
// minute at most, and the source never waits for any.
func TestHostileClientsDontHoldOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		listener, ended := make(pipes), make(chan error, 1)
		source := largeSource()
		go func() {
			ended <- httpserver.New(zap.NewNop()).Serve(ctx, listener, control.Handler(source))
		}()
		for range 6 {
			for _, request := range hostile() {
				go func() {
					conn := listener.dial()
					_, _ = io.WriteString(conn, request) // it may be refused midway
				}()
			}
		}
		synctest.Wait()
		began := time.Now()
		if _, err := source.Status(ctx); err != nil || time.Since(began) > 0 {
			t.Errorf("the source: %v after %v", err, time.Since(began))
		}
		conn := listener.dial()
		fmt.Fprint(conn, "GET /v1/status HTTP/1.0\r\n\r\n")
		answer, _ := io.ReadAll(conn)
		took := time.Since(began)
		if !strings.Contains(string(answer), `"version":"1.2.3"`) || took > time.Minute {
			t.Errorf("an honest client after %v: %q", took, answer)
		}
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		time.Sleep(time.Minute) // of synctest's clock: net/http lingers on connections
	})
}

// largeSource returns a source whose flows fill more than the buffer of a socket.
func largeSource() *controltest.Source {
	source := controltest.New(readAt())
	source.Change(func(_ *control.Status, _ *[]control.Device, flows *[]control.Flow) {
		for len(*flows) < 2000 {
			*flows = append(*flows, *flows...)
		}
	})
	return source
}

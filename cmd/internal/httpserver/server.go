// Package httpserver serves HTTP to untrusted clients. It is net/http with limits on the
// size and time of requests and on the number of connections, and with recovery from panics.
//
//	net.Listener (Listen, ListenUnix) -> Server -> http.Handler
package httpserver

import (
	"context"
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/netutil"
)

// Limits of clients.
const (
	maxConnections = 16
	maxHeader      = 4 << 10 // bytes; net/http adds 4 KiB
	readTimeout    = 5 * time.Second
	writeTimeout   = time.Minute // long enough for a profile of 30 s
	idleTimeout    = 30 * time.Second

	// shutdownTimeout bounds the wait for responses in progress at the end.
	shutdownTimeout = time.Second
)

// Server answers GET and HEAD requests. Make one with New.
type Server struct {
	Stats Stats
	TLS   *tls.Config // nil: plain HTTP
	log   *zap.Logger
}

// Stats are counters that any goroutine may read.
type Stats struct {
	Panics atomic.Uint64 // recovered, in handlers and by Recover
}

// New returns a server that logs its own failures.
func New(log *zap.Logger) *Server { return &Server{log: log} }

// Recover recovers from a panic if it is deferred, and logs and counts it. Goroutines
// started by a handler need it; for handlers themselves the server does it.
func (s *Server) Recover() {
	if v := recover(); v != nil {
		s.report(v)
	}
}

func (s *Server) report(panicked any) {
	s.Stats.Panics.Add(1)
	s.log.Error("panic while serving HTTP: a bug in this program", zap.Any("panic", panicked), zap.Stack("stack"))
}

// Serve serves handler on the listener until ctx is done. Then it closes the listener, and
// returns when the responses in progress are sent.
func (s *Server) Serve(ctx context.Context, l net.Listener, handler http.Handler) error {
	server := s.httpServer(ctx, handler)
	l = netutil.LimitListener(&retryListener{Listener: l, log: s.log}, maxConnections)
	if s.TLS != nil {
		l = tls.NewListener(l, s.TLS)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	timeout, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if server.Shutdown(timeout) != nil {
		_ = server.Close() // abandon responses that are not sent by now
	}
	<-ended
	return nil
}

func (s *Server) httpServer(ctx context.Context, handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           s.readOnly(s.recovering(handler)),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          s.ErrorLog(),
		// Otherwise net/http answers OPTIONS * itself.
		DisableGeneralOptionsHandler: true,

		BaseContext: func(net.Listener) context.Context { return ctx },
	}
}

// ErrorLog returns a standard library logger that logs warnings.
func (s *Server) ErrorLog() *log.Logger {
	l, _ := zap.NewStdLogAt(s.log, zap.WarnLevel) // fails for unknown levels only
	return l
}

func (s *Server) readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	})
}

// recovering aborts the response of a handler that panics, so that the client doesn't take
// a part of it for the whole.
func (s *Server) recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				s.report(v)
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

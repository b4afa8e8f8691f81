// Package httpserver serves HTTP to strangers within limits: what they send, how long
// they take, how many they are, and what a fault in a handler does. It is net/http with
// all of that set, for programs whose work is something else.
package httpserver

import (
	"context"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/netutil"
)

// What clients may take of the program.
const (
	maxConnections = 16
	maxHeader      = 4 << 10 // bytes; net/http allows as much again
	readTimeout    = 5 * time.Second
	writeTimeout   = time.Minute // a profile of half a minute fits
	idleTimeout    = 30 * time.Second

	// shutdownTimeout bounds how long responses under way may still take at the end.
	shutdownTimeout = time.Second
)

// Server answers GET and HEAD. Make one with New.
type Server struct {
	Stats Stats
	log   *zap.Logger
}

// Stats are counters that any goroutine may read.
type Stats struct {
	Panics atomic.Uint64 // of handlers, and those that Recover caught
}

// New returns a server that logs its own failures.
func New(log *zap.Logger) *Server { return &Server{log: log} }

// Recover keeps a panic from ending the program where it is deferred: it is logged and
// counted. Goroutines started by a handler need it; handlers themselves have it.
func (s *Server) Recover() {
	if v := recover(); v != nil {
		s.report(v)
	}
}

func (s *Server) report(panicked any) {
	s.Stats.Panics.Add(1)
	s.log.Error("serving HTTP failed by a fault in this program", zap.Any("panic", panicked), zap.Stack("stack"))
}

// Serve has handler answer what arrives at the listener until ctx is done. Then it closes
// the listener, and returns when the responses under way are sent.
func (s *Server) Serve(ctx context.Context, l net.Listener, handler http.Handler) error {
	server := s.httpServer(ctx, handler)
	ended := make(chan error, 1)
	go func() {
		ended <- server.Serve(netutil.LimitListener(&retryListener{Listener: l, log: s.log}, maxConnections))
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	timeout, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if server.Shutdown(timeout) != nil {
		_ = server.Close() // what has not been sent by now is given up
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
		// Else OPTIONS * is answered beside the handler.
		DisableGeneralOptionsHandler: true,

		BaseContext: func(net.Listener) context.Context { return ctx },
	}
}

// ErrorLog returns a log of warnings for what wants one of the standard library.
func (s *Server) ErrorLog() *log.Logger {
	l, _ := zap.NewStdLogAt(s.log, zap.WarnLevel) // fails for unknown levels alone
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

// recovering breaks off the response of a handler that panics: the client must not take a
// part of it for the whole.
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

package monitor

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/internal/httpserver"
)

// Options configure Serve.
type Options struct {
	Address string // host:port
	Pprof   bool   // serve profiles as well
}

// Serve listens on the address and serves s.Handler until ctx is done. wait returns once
// the last response is sent.
func Serve(ctx context.Context, o Options, s *Sources, log *zap.Logger) (wait func(), err error) {
	listener, err := httpserver.Listen(ctx, o.Address, log)
	if err != nil {
		return nil, fmt.Errorf("can't serve metrics at %s: %w", o.Address, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Server.Serve(ctx, listener, s.Handler(o.Pprof)); err != nil {
			log.Error("metrics are no longer served", zap.Error(err))
		}
	}()
	return func() { <-done }, nil
}

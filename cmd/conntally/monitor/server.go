package monitor

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/internal/httpserver"
)

// Options of the server.
type Options struct {
	Address string // host:port
	Pprof   bool   // profiles as well
}

// Serve opens the port and answers there until ctx is done. wait returns once the last
// response is sent.
func Serve(ctx context.Context, o Options, s *Sources, log *zap.Logger) (wait func(), err error) {
	listener, err := httpserver.Listen(ctx, o.Address, log)
	if err != nil {
		return nil, fmt.Errorf("can't serve metrics at %s: %w", o.Address, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Server.Serve(ctx, listener, s.Handler(o.Pprof)); err != nil {
			log.Error("metrics are not served any more", zap.Error(err))
		}
	}()
	return func() { <-done }, nil
}

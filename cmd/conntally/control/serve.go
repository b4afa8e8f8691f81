package control

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/internal/httpserver"
)

const (
	directory  = "/run/conntally"
	socketName = "control.sock"

	// Mode is who may connect: the service's user and group.
	Mode fs.FileMode = 0o660
)

// DefaultPath returns the path of the socket: in the service manager's $RUNTIME_DIRECTORY,
// or else /run/conntally/control.sock.
func DefaultPath() string {
	runtime, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":") // there may be several
	if runtime == "" {
		runtime = directory
	}
	return filepath.Join(runtime, socketName)
}

// Serve listens on the socket and answers from s until ctx is done. wait returns once the
// last answer is sent.
func Serve(
	ctx context.Context, path string, s Source, server *httpserver.Server, log *zap.Logger,
) (wait func(), err error) {
	listener, err := httpserver.ListenUnix(ctx, path, Mode)
	if err != nil {
		return nil, fmt.Errorf("can't listen on the control socket %s: %w", path, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(ctx, listener, Handler(s)); err != nil {
			log.Error("the control socket is no longer served", zap.Error(err))
		}
	}()
	return func() { <-done }, nil
}

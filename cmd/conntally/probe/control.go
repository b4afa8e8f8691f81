package probe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/conntally/control"
	"github.com/conntally/conntally/cmd/internal/httpserver"
)

// socketDirectoryMode is that of /run/conntally where no service manager has made it.
const socketDirectoryMode fs.FileMode = 0o750

// serveControl serves the control socket until ctx is done, if one is configured. The
// probe works without it, so that it can't be served is a warning. wait returns once the
// last answer is sent.
func (p *Probe) serveControl(ctx context.Context, c *config.Config) (wait func()) {
	path := c.Control.Socket
	if path == "" {
		return func() {}
	}
	if path == config.AutoSocket {
		path = control.DefaultPath()
		_ = os.Mkdir(filepath.Dir(path), socketDirectoryMode) // else listening fails
	}
	wait, err := control.Serve(ctx, path, p.Source(), httpserver.New(p.log), p.log)
	if err != nil {
		p.logUnserved(c, err)
		return func() {}
	}
	return wait
}

// logUnserved tells that the control socket can't be served, and what else follows.
func (p *Probe) logUnserved(c *config.Config, err error) {
	level := zapcore.WarnLevel
	switch {
	case errors.Is(err, unix.EADDRINUSE) && len(c.Collectors) > 0:
		p.log.Warn("conntally runs already: a collector that gets both counts everything twice")
	case c.Control.Socket == config.AutoSocket: // its directory may be another user's
		level = zapcore.InfoLevel
	}
	p.log.Log(level, "status, devices, flows and top can't ask this process", zap.Error(err))
}

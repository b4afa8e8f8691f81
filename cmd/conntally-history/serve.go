package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/config"
	"github.com/conntally/conntally/cmd/conntally-history/serve"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/internal/command"
	"github.com/conntally/conntally/cmd/internal/footprint"
	"github.com/conntally/conntally/cmd/internal/logging"
	"github.com/conntally/conntally/conntrack"
)

// noWeb is the value of --web for no web page.
const noWeb = "off"

// runServe is `conntally-history serve`.
func runServe(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, path, checkOnly, err := loadServe(args, stdout)
	if err != nil || checkOnly {
		return err
	}
	if err := placeable(path); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	footprint.Save(ctx, false)
	log := logging.New(stderr, c.Log.Format, c.Log.Level.Level)
	defer log.Sync() //nolint:errcheck // a terminal can't be synced
	s, err := serve.New(ctx, serve.Options{
		Config: c, Database: path, Version: version, Log: log, Clock: conntrack.SystemClock(),
		Calendar: usage.Calendar{Location: time.Local}, Quotas: quotasOf(c),
	})
	switch {
	case errors.Is(err, serve.ErrConfig):
		return command.UsageError("%w", err)
	case err != nil:
		return err
	}
	err = s.Run(ctx)
	if failed := s.Close(); err == nil {
		err = failed
	}
	return err
}

// loadServe returns the configuration of the args and of the file that they name, and the path
// of the database. With --check-config it prints that they are good, and checkOnly is set.
func loadServe(args []string, stdout io.Writer) (c *config.Config, path string, checkOnly bool,
	err error) {
	fs := command.NewFlags(name, "serve", "receive flow records and keep who moved how much",
		stdout)
	database := bindDatabase(fs)
	listen := fs.String("listen", "", "receive records at `HOST:PORT` (default that of the "+
		"configuration, 127.0.0.1:2056)")
	web := fs.String("web", "", "serve the web page at `HOST:PORT`, or off (default that of the "+
		"configuration, 127.0.0.1:9470)")
	level := fs.String("log-level", "", "log this `LEVEL`: debug, info, warn, error")
	fs.BoolVar(&checkOnly, "check-config", false, "say whether file and flags are good, and end")
	if err := fs.Parse(args); err != nil {
		return nil, "", false, err
	}
	c, path, err = database.load()
	if err != nil {
		return nil, "", false, err
	}
	if *web == noWeb {
		c.Web.Enable, *web = false, ""
	}
	for _, f := range []struct {
		name, value string
		set         interface{ UnmarshalText(text []byte) error }
	}{
		{"listen", *listen, &c.Collector.Address},
		{"web", *web, &c.Web.Listen},
		{"log-level", *level, &c.Log.Level},
	} {
		if f.value == "" {
			continue
		}
		if err := f.set.UnmarshalText([]byte(f.value)); err != nil {
			return nil, "", false, command.UsageError("serve: --%s %s: %w", f.name, f.value, err)
		}
		c.Web.Enable = c.Web.Enable || f.name == "web"
	}
	if err := c.CheckWeb(); err != nil {
		return nil, "", false, command.UsageError("serve: %w", err)
	}
	if checkOnly {
		what := database.config
		if what == "" {
			what = "flags"
		}
		_, err = fmt.Fprintf(stdout, "%s: ok\n", what)
	}
	return c, path, checkOnly, err
}

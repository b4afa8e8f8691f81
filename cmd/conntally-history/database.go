package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/config"
	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/internal/command"
)

// databaseFlags are the flags of each command that needs a database.
type databaseFlags struct{ config, database string }

func bindDatabase(fs *command.Flags) *databaseFlags {
	f := &databaseFlags{}
	fs.StringVar(&f.config, "config", "", "read this TOML `FILE` (default "+config.DefaultPath+
		", if it is there)")
	fs.StringVar(&f.database, "database", "",
		"the database is `FILE` (default that of the configuration)")
	return f
}

// load returns the configuration, and the path of the database.
func (f *databaseFlags) load() (*config.Config, string, error) {
	c, err := config.Load(f.config)
	if err != nil {
		return nil, "", command.UsageError("%w", err)
	}
	if f.database != "" {
		return c, f.database, nil
	}
	return c, c.Database.File(), nil
}

// openReader opens a database that exists, to read it.
func openReader(ctx context.Context, path string) (*store.Reader, error) {
	if err := readable(path); err != nil {
		return nil, err
	}
	return store.OpenReader(ctx, path, usage.Calendar{Location: time.Local})
}

// placeable returns what to do if there is no directory for a database at path. SQLite says only
// that it is unable to open the file.
func placeable(path string) error {
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("the database's directory %s is missing: sudo mkdir -p %s, or --database FILE "+
		"elsewhere", dir, dir)
}

// readable returns what to do if there is no database at path, or it can't be read.
func readable(path string) error {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no database at %s: conntally-history serve makes one (systemctl start "+
			"conntally-history); --database names another", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s can't be read: use sudo, it belongs to the service", path)
	case err != nil:
		return err
	}
	return f.Close()
}

// Package config reads the configuration file of conntally-history.
package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/conntally/conntally/cmd/internal/logging"
	"github.com/conntally/conntally/cmd/internal/setting"
	"github.com/conntally/conntally/cmd/internal/tomlfile"
	"github.com/conntally/conntally/flow/regular"
)

// DefaultPath is the file that is read, if it exists, where none is named.
const DefaultPath = "/etc/conntally-history.toml"

// Config is the configuration file: a field is a key, a struct a table.
type Config struct {
	Database  Database  `toml:"database"`
	Collector Collector `toml:"collector"`
	Devices   Devices   `toml:"devices"`
	Named     []Device  `toml:"device"`
	Report    Report    `toml:"report"`
	Web       Web       `toml:"web"`
	Services  Services  `toml:"services"`
	Log       Log       `toml:"log"`
}

// Database holds where history is kept, and how much of it.
type Database struct {
	Path          string   `toml:"path"` // "": see File
	FlushInterval Duration `toml:"flush_interval"`
	MaxSize       Size     `toml:"max_size"`
	Hours         Duration `toml:"hours"`
	Days          Duration `toml:"days"`
	Destinations  Duration `toml:"destinations"`
	// PerDevice is how many destinations are kept of each device and day.
	PerDevice int `toml:"destinations_per_device" range:"1,10000"`
}

// Collector holds where records are received, and from whom.
type Collector struct {
	Address       setting.Listen    `toml:"address"`
	Exporters     []setting.Network `toml:"exporters"` // none: any
	ReceiveBuffer Size              `toml:"receive_buffer"`
}

// Devices holds what is a device, and where names are read.
type Devices struct {
	Networks []setting.Network `toml:"networks"` // whose addresses are devices
	Exclude  []setting.Network `toml:"exclude"`  // counted as device "other"
	Leases   []string          `toml:"leases"`   // "auto", or paths
	Max      int               `toml:"max" range:"1,1000000"`
}

// Device is a device with a name. All of its addresses count as one device.
type Device struct {
	Name    string        `toml:"name"`
	MAC     []setting.MAC `toml:"mac"`
	Address []setting.IP  `toml:"address"`
	Quota   Size          `toml:"quota"` // bytes per billing month; 0: none
}

// Report holds what reports need to know.
type Report struct {
	BillingDay int  `toml:"billing_day" range:"1,31"` // of the month; the last if it has no such day
	Quota      Size `toml:"quota"`                    // bytes of all devices per billing month; 0: none
}

// Web holds where the page and metrics are served, and who may read them.
type Web struct {
	Enable       bool           `toml:"enable"`
	Listen       setting.Listen `toml:"listen"`
	Hosts        []string       `toml:"hosts"` // that the page may be asked for by, besides its own
	User         string         `toml:"user"`
	PasswordHash string         `toml:"password_hash"` // bcrypt
	PasswordFile string         `toml:"password_file"` // of the hash
	Certificate  string         `toml:"certificate"`
	Key          string         `toml:"key"`
	Insecure     bool           `toml:"insecure"` // without a password beyond loopback
}

// Services holds whether systemd's units are counted.
type Services struct {
	Enable   bool     `toml:"enable"`
	Interval Duration `toml:"interval"`
}

// Log holds what is logged, and how.
type Log struct {
	Level  setting.Level  `toml:"level"`
	Format logging.Format `toml:"format"`
}

const day = 24 * time.Hour

// Default returns the configuration without a file.
func Default() *Config {
	return &Config{
		Database: Database{
			FlushInterval: Duration(DefaultFlush), MaxSize: 512 << 20,
			Hours: Duration(60 * day), Days: Duration(1095 * day), Destinations: Duration(90 * day),
			PerDevice: 200,
		},
		Collector: Collector{Address: "127.0.0.1:2056", ReceiveBuffer: 4 << 20},
		Devices:   Devices{Leases: []string{"auto"}, Max: 4096},
		Report:    Report{BillingDay: 1},
		Web:       Web{Enable: true, Listen: "127.0.0.1:9470"},
		Services:  Services{Interval: Duration(time.Minute)},
		Log:       Log{Level: setting.Level{Level: zapcore.InfoLevel}},
	}
}

// DefaultFlush is how often the database is written where nothing else is configured.
const DefaultFlush = 5 * time.Minute

// Load reads the file at path over the defaults. An empty path is DefaultPath, where the file
// may be missing. The error lists every mistake, one a line.
func Load(path string) (*Config, error) {
	c := Default()
	named := path != ""
	if !named {
		path = DefaultPath
	}
	text, err := regular.Read(path, tomlfile.MaxSize)
	switch {
	case !named && errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return nil, err
	}
	if err := tomlfile.Decode(path, text, c); err != nil {
		return nil, err
	}
	return c, nil
}

// stateDirectory is the service's by default, where systemd doesn't name it.
const stateDirectory = "/var/lib/conntally-history"

// File returns the path of the database: the configured one, else history.db in
// $STATE_DIRECTORY, else in /var/lib/conntally-history.
func (d *Database) File() string {
	if d.Path != "" {
		return d.Path
	}
	directory, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":") // systemd may set several
	if directory == "" {
		directory = stateDirectory
	}
	return filepath.Join(directory, "history.db")
}

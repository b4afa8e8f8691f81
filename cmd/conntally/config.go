package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"go.uber.org/zap/zapcore"

	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
)

// config is the configuration file; flags override it.
type config struct {
	Collectors []collectorConfig `toml:"collector"`
	Flow       struct {
		ActiveTimeout duration `toml:"active_timeout"`
		IdleTimeout   duration `toml:"idle_timeout"`
		NAT           view     `toml:"nat"`
		MaxFlows      int      `toml:"max_flows"`
		// StateDirectory "" is $STATE_DIRECTORY, else no exact restarts.
		StateDirectory string `toml:"state_directory"`
	} `toml:"flow"`
	Conntrack struct {
		PollInterval  duration `toml:"poll_interval"`
		MaxCPU        float64  `toml:"max_cpu"` // percent of one core
		ReceiveBuffer size     `toml:"receive_buffer"`
		Reliable      bool     `toml:"reliable"`
		Track         bool     `toml:"track"`
	} `toml:"conntrack"`
	Metrics struct {
		Listen string `toml:"listen"`
	} `toml:"metrics"`
	Log struct {
		Level zapcore.Level `toml:"level"`
	} `toml:"log"`
}

type collectorConfig struct {
	Address  string   `toml:"address"`
	Protocol protocol `toml:"protocol"`
}

const (
	defaultPoll = 10 * time.Second
	minPoll     = 100 * time.Millisecond
	maxDuration = 24 * time.Hour
)

func defaultConfig() *config {
	c := new(config)
	c.Flow.ActiveTimeout = duration(60 * time.Second)
	c.Flow.IdleTimeout = duration(15 * time.Second)
	c.Conntrack.MaxCPU = 1
	c.Conntrack.ReceiveBuffer = 16 << 20
	return c
}

// pollInterval is as configured, else the default or a shorter timeout: nothing
// can be exported more often than it is read.
func (c *config) pollInterval() time.Duration {
	if c.Conntrack.PollInterval != 0 {
		return time.Duration(c.Conntrack.PollInterval)
	}
	return min(defaultPoll, time.Duration(c.Flow.ActiveTimeout), time.Duration(c.Flow.IdleTimeout))
}

// loadConfig reads the file that --config names, if any, then the flags over it.
func loadConfig(args []string, stdout io.Writer) (*config, error) {
	c := defaultConfig()
	var path string
	if err := runFlags(defaultConfig(), &path, stdout).parse(args); err != nil {
		return nil, err
	}
	if path != "" {
		if err := c.read(path); err != nil {
			return nil, err
		}
	}
	if err := runFlags(c, &path, stdout).parse(args); err != nil {
		return nil, err
	}
	return c, c.check()
}

// read reads a TOML file. A key that means nothing is an error: it is a typing
// mistake that would go unnoticed.
func (c *config) read(path string) error {
	meta, err := toml.DecodeFile(path, c)
	if err != nil {
		var parse toml.ParseError
		if errors.As(err, &parse) {
			where := ""
			if parse.LastKey != "" {
				where = parse.LastKey + ": "
			}
			return usageError("%s:%d: %s%s", path, parse.Position.Line, where, parse.Message)
		}
		return usageError("%v", err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return usageError("%s: unknown key %s", path, unknown[0])
	}
	return nil
}

func runFlags(c *config, path *string, stdout io.Writer) *flags {
	fs := newFlags("run", "read conntrack and export flows", stdout)
	fs.StringVar(path, "config", "", "read this TOML `FILE`")
	collectors := &collectorFlags{config: c}
	fs.Var(collectors, "collector", "export to `HOST:PORT`; may be repeated")
	fs.Func("protocol", "`ipfix` or netflow9, to all collectors (default ipfix)", collectors.setProtocol)
	fs.TextVar(&c.Flow.ActiveTimeout, "active-timeout", c.Flow.ActiveTimeout, "export a flow that goes on this `often`")
	fs.TextVar(&c.Flow.IdleTimeout, "idle-timeout", c.Flow.IdleTimeout, "export a flow that rests after this `long`")
	fs.Func("poll-interval", "read the counters this `often` (default 10s, or a shorter timeout)", func(s string) error {
		return c.Conntrack.PollInterval.UnmarshalText([]byte(s))
	})
	fs.TextVar(&c.Flow.NAT, "nat", c.Flow.NAT, "addresses of translated flows: `endpoints` or wire")
	fs.BoolVar(&c.Conntrack.Track, "track", c.Conntrack.Track, "have connections tracked where no firewall rule does")
	fs.StringVar(&c.Metrics.Listen, "metrics", c.Metrics.Listen, "serve Prometheus metrics at `HOST:PORT`")
	fs.TextVar(&c.Log.Level, "log-level", c.Log.Level, "log from this `level` on: debug, info, warn, error")
	return fs
}

// check looks at what a value's own type can't.
func (c *config) check() error {
	for i, cc := range c.Collectors {
		if err := checkAddress(cc.Address); err != nil {
			return usageError("collector %q: %v", cc.Address, err)
		}
		if slices.Contains(c.Collectors[:i], cc) {
			return usageError("collector %q: named twice", cc.Address)
		}
	}
	if c.Metrics.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Metrics.Listen); err != nil {
			return usageError("metrics %q: want HOST:PORT", c.Metrics.Listen)
		}
	}
	if poll := time.Duration(c.Conntrack.PollInterval); poll != 0 && poll < minPoll {
		return usageError("poll_interval %v: at least %v", poll, minPoll)
	}
	if cpu := c.Conntrack.MaxCPU; !(cpu > 0 && cpu <= 100) { // NaN is neither
		return usageError("max_cpu %v: want a percentage of one core, above 0 and up to 100", cpu)
	}
	if c.Flow.MaxFlows < 0 {
		return usageError("max_flows %d: not negative", c.Flow.MaxFlows)
	}
	return nil
}

func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("want HOST:PORT, an IPv6 address in brackets")
	}
	if host == "" {
		return errors.New("the host is missing")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("port %q: want a number from 1 to 65535", port)
	}
	return nil
}

// collectorFlags replaces the file's collectors by those of the command line.
type collectorFlags struct {
	config   *config
	replaced bool
	protocol protocol
}

func (f *collectorFlags) String() string { return "" }

func (f *collectorFlags) Set(s string) error {
	if err := checkAddress(s); err != nil {
		return err
	}
	if !f.replaced {
		f.config.Collectors, f.replaced = nil, true
	}
	f.config.Collectors = append(f.config.Collectors, collectorConfig{Address: s, Protocol: f.protocol})
	return nil
}

func (f *collectorFlags) setProtocol(s string) error {
	if err := f.protocol.UnmarshalText([]byte(s)); err != nil {
		return err
	}
	for i := range f.config.Collectors {
		f.config.Collectors[i].Protocol = f.protocol
	}
	return nil
}

// duration is a time.Duration in text, from 1 ms to a day.
type duration time.Duration

func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v < time.Millisecond || v > maxDuration {
		return fmt.Errorf("%q: want a duration from 1ms to 24h, such as 60s or 5m", b)
	}
	*d = duration(v)
	return nil
}

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// size is a number of bytes in text, with a unit.
type size int

func (s *size) UnmarshalText(b []byte) error {
	text, factor := strings.TrimSpace(string(b)), 1
	for unit, f := range map[string]int{"KiB": 1 << 10, "MiB": 1 << 20} {
		if n, ok := strings.CutSuffix(text, unit); ok {
			text, factor = strings.TrimSpace(n), f
		}
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 || n > 1<<30/uint64(factor) {
		return fmt.Errorf("%q: want a size up to 1024MiB, such as 512KiB or 16MiB", b)
	}
	*s = size(int(n) * factor)
	return nil
}

// protocol is an export.Protocol in text; the zero value is IPFIX.
type protocol struct{ netflow9 bool }

func (p *protocol) UnmarshalText(b []byte) error {
	v, err := export.ParseProtocol(string(b))
	p.netflow9 = v == export.NetFlow9
	return err
}

func (p protocol) value() export.Protocol {
	if p.netflow9 {
		return export.NetFlow9
	}
	return export.IPFIX
}

// view is a flow.View in text.
type view struct{ flow.View }

func (v *view) UnmarshalText(b []byte) (err error) {
	v.View, err = flow.ParseView(string(b))
	return err
}

func (v view) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

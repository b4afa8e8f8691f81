package config

import (
	"errors"
	"flag"
	"fmt"
)

// Args are the flags that aren't part of the configuration.
type Args struct {
	File      string // "" is none
	CheckOnly bool   // --check-config
	JSON      bool   // --json: print flows as JSON
}

// Load returns the configuration of `conntally run`: the file that --config names, if any,
// overridden by the flags. parse parses the arguments into flags, which bind defines.
func Load(parse func(bind func(*flag.FlagSet)) error) (*Config, Args, error) {
	var a Args
	if err := parse(func(fs *flag.FlagSet) { Default().bind(fs, &a) }); err != nil {
		return nil, a, err
	}
	c := Default()
	if a.File != "" {
		if err := c.Read(a.File); err != nil {
			return nil, a, err
		}
	}
	if err := parse(func(fs *flag.FlagSet) { c.bind(fs, &a) }); err != nil {
		return nil, a, err
	}
	return c, a, c.recheck()
}

// recheck checks again, since flags may not fit the file.
func (c *Config) recheck() error {
	var found []error
	c.Check(func(table any, key, text string) {
		for i := range c.Collectors {
			if table == &c.Collectors[i] {
				key = fmt.Sprintf("collector #%d %s", i+1, key)
			}
		}
		found = append(found, errors.New(key+": "+text))
	})
	return errors.Join(found...)
}

// bind defines the flags.
func (c *Config) bind(fs *flag.FlagSet, a *Args) {
	fs.StringVar(&a.File, "config", "", "read this TOML `FILE`")
	fs.BoolVar(&a.CheckOnly, "check-config", false, "say whether file and flags are good, and end")
	fs.BoolVar(&a.JSON, "json", false, "print one JSON object per flow; only without a collector")
	collectors := &collectorFlags{config: c}
	fs.Var(collectors, "collector", "export to `HOST:PORT`; may be repeated")
	fs.Func("protocol", "`PROTOCOL` to all collectors: ipfix or netflow9 (default ipfix)",
		collectors.setProtocol)
	fs.TextVar(&c.Flow.ActiveTimeout, "active-timeout", c.Flow.ActiveTimeout,
		"export a long flow every `DURATION`")
	fs.TextVar(&c.Flow.IdleTimeout, "idle-timeout", c.Flow.IdleTimeout,
		"export a flow that has been idle for `DURATION`")
	fs.Func("poll-interval",
		"read the counters every `DURATION` (default 10s, or a shorter timeout)",
		func(s string) error {
			return c.Conntrack.PollInterval.UnmarshalText([]byte(s))
		})
	fs.TextVar(&c.Conntrack.Ends, "source", c.Conntrack.Ends,
		"read ends of connections by `SOURCE`: netlink, bpf or auto")
	fs.TextVar(&c.Flow.NAT, "nat", c.Flow.NAT, "`VIEW` of translated flows: endpoints or wire")
	fs.BoolVar(&c.Conntrack.Track, "track", c.Conntrack.Track,
		"turn connection tracking on where no firewall rule does")
	fs.Func("metrics", "serve Prometheus metrics at `HOST:PORT`", func(s string) error {
		return c.Metrics.Listen.UnmarshalText([]byte(s))
	})
	fs.TextVar(&c.Log.Level, "log-level", c.Log.Level,
		"log from this `LEVEL` on: debug, info, warn, error")
}

// collectorFlags replaces the file's collectors with those of the command line.
type collectorFlags struct {
	config   *Config
	replaced bool
	protocol Protocol
}

func (f *collectorFlags) String() string { return "" }

// Set adds a collector.
func (f *collectorFlags) Set(s string) error {
	c := NewCollector("")
	if err := c.Address.UnmarshalText([]byte(s)); err != nil {
		return err
	}
	if !f.replaced {
		f.config.Collectors, f.replaced = nil, true
	}
	c.Protocol = f.protocol
	f.config.Collectors = append(f.config.Collectors, c)
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

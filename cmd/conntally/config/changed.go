package config

import "github.com/conntally/conntally/cmd/internal/tomlfile"

// Changed returns the keys in which c and d differ, such as "[flow] nat": those that a
// reload can change, and those that need a restart.
func (c *Config) Changed(d *Config) (now, restart []string) { return tomlfile.Changed(c, d) }

package config

import "github.com/conntally/conntally/cmd/internal/tomlfile"

// Read reads a file over what c holds. Its error lists everything that is wrong, a line
// each.
func (c *Config) Read(path string) error { return tomlfile.Read(path, c) }

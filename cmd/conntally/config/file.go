package config

import (
	"github.com/conntally/conntally/cmd/internal/tomlfile"
	"github.com/conntally/conntally/flow/regular"
)

// Read reads a file over what c holds. Its error lists everything that is wrong, a line
// each.
func (c *Config) Read(path string) error {
	text, err := regular.Read(path, tomlfile.MaxSize)
	if err != nil {
		return err
	}
	return tomlfile.Decode(path, text, c)
}

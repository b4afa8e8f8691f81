package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"

	"github.com/pelletier/go-toml/v2/unstable"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// Read reads a file over what c holds. Its error tells all that is wrong, a line
// each.
func (c *Config) Read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return err
	}
	if len(data) > maxFile {
		return fmt.Errorf("%s: larger than %d KiB", path, maxFile>>10)
	}
	return c.parse(path, data)
}

// parse reads TOML over what c holds. name is the file's.
func (c *Config) parse(name string, data []byte) error {
	r := &reader{problems: problems{file: name}}
	r.toml.Reset(data)
	root := r.section("", 1, func() reflect.Value { return reflect.ValueOf(c).Elem() })
	for current := root; r.toml.NextExpression(); {
		switch e := r.toml.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			current = r.header(root, e)
		case unstable.KeyValue:
			r.set(current, e)
		}
	}
	if err := r.toml.Error(); err != nil {
		r.syntax(err)
		return r.err()
	}
	if len(r.found) == 0 { // else what is missing may be what was mistyped
		r.check(c)
	}
	return r.err()
}

// syntax reports what is no TOML.
func (r *reader) syntax(err error) {
	var parse *unstable.ParserError
	if !errors.As(err, &parse) {
		r.add(1, err.Error())
		return
	}
	at := int(r.toml.Range(parse.Highlight).Offset)
	r.add(r.line(at), excerpt(lineAt(r.toml.Data(), at))+": "+parse.Message)
}

package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/conntally/conntally/cmd/internal/setting"
	"github.com/conntally/conntally/flow/account"
	"github.com/conntally/conntally/flow/host"
)

// Labels are Prometheus labels by name.
type Labels map[string]string

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// reservedLabels are the labels that metrics have already.
const reservedLabels = " addresses collector condition device direction dumps goversion interface " +
	"mac name protocol scope source step vendor version "

// check returns why the labels can't be used, or nil.
func (l Labels) check() error {
	for name, value := range l {
		switch {
		case !labelName.MatchString(name) || strings.HasPrefix(name, "__"):
			return fmt.Errorf("%q can't be a label's name: want letters, digits and _", name)
		case strings.Contains(reservedLabels, " "+name+" "):
			return fmt.Errorf("metrics have a label %q of their own", name)
		case !utf8.ValidString(value):
			return fmt.Errorf("the value of %q is not UTF-8", name)
		}
	}
	return nil
}

func (c *Config) checkDevices(wrong func(table any, key, text string)) {
	if err := c.Metrics.Labels.check(); err != nil {
		wrong(&c.Metrics, "labels", err.Error())
	}
	if c.Metrics.Devices && !c.Devices.Enable {
		wrong(&c.Metrics, "devices", "needs [devices] enable = true")
	}
	for _, path := range c.Devices.Leases {
		if path != "auto" && !filepath.IsAbs(path) {
			wrong(&c.Devices, "leases", fmt.Sprintf(`%q: want "auto" or paths that begin with /`,
				path))
		}
	}
	if s := c.Control.Socket; s != "" && s != AutoSocket && !filepath.IsAbs(s) {
		wrong(&c.Control, "socket", `want "auto", a path that begins with /, or "" for none`)
	}
	var owners setting.Owners
	for i := range c.Named {
		d := &c.Named[i]
		owners.Check(i, d.Name, d.MAC, d.Address, func(key, text string) { wrong(d, key, text) })
	}
}

// Aliases returns the named devices.
func (c *Config) Aliases() []account.Alias {
	var all []account.Alias
	for i := range c.Named {
		d := &c.Named[i]
		alias := account.Alias{Name: d.Name}
		for _, mac := range d.MAC {
			alias.MACs = append(alias.MACs, host.MAC(mac))
		}
		for _, ip := range d.Address {
			alias.Addrs = append(alias.Addrs, ip.Addr)
		}
		all = append(all, alias)
	}
	return all
}

package config

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/conntally/conntally/cmd/internal/setting"
)

// Limits of values that their types don't have.
const (
	maxFlush    = day
	minServices = 10 * time.Second
	maxServices = time.Hour
	minDatabase = 4 << 20
	maxReceive  = 1 << 30
	minAge      = day
)

// Check implements tomlfile.Checker.
func (c *Config) Check(wrong func(table any, key, text string)) {
	c.Database.check(wrong)
	c.Collector.check(wrong)
	c.Devices.check(wrong)
	c.Web.check(wrong)
	if i := time.Duration(c.Services.Interval); i < minServices || i > maxServices {
		wrong(&c.Services, "interval", `want a duration from 10s to 1h`)
	}
	var owners setting.Owners
	for i := range c.Named {
		d := &c.Named[i]
		owners.Check(i, d.Name, d.MAC, d.Address, func(key, text string) { wrong(d, key, text) })
	}
}

func (d *Database) check(wrong func(table any, key, text string)) {
	if d.Path != "" && !filepath.IsAbs(d.Path) {
		wrong(d, "path", `want a path that begins with /, or ""`)
	}
	if time.Duration(d.FlushInterval) > maxFlush {
		wrong(d, "flush_interval", "want a duration from 1s to 1d")
	}
	if d.MaxSize < minDatabase {
		wrong(d, "max_size", `want a size of at least "4MiB"`)
	}
	for _, age := range []struct {
		key string
		Duration
	}{{"hours", d.Hours}, {"days", d.Days}, {"destinations", d.Destinations}} {
		if time.Duration(age.Duration) < minAge {
			wrong(d, age.key, `want at least "1d"`)
		}
	}
	if d.Days < d.Hours {
		wrong(d, "days", "want no less than hours: an hour becomes part of a day, never of nothing")
	}
}

func (c *Collector) check(wrong func(table any, key, text string)) {
	if c.Address == "" {
		wrong(c, "address", "is missing: want HOST:PORT")
	}
	if c.ReceiveBuffer < 1 || c.ReceiveBuffer > maxReceive {
		wrong(c, "receive_buffer", `want a size up to "1GiB"`)
	}
}

func (d *Devices) check(wrong func(table any, key, text string)) {
	for _, path := range d.Leases {
		if path != "auto" && !filepath.IsAbs(path) {
			wrong(d, "leases", fmt.Sprintf(`%q: want "auto" or paths that begin with /`, path))
		}
	}
}

func (w *Web) check(wrong func(table any, key, text string)) {
	for _, host := range w.Hosts {
		if host == "" || !setting.IsHost(host) {
			wrong(w, "hosts", fmt.Sprintf("%q: want names or addresses, without ports", host))
		}
	}
	for _, file := range []struct{ key, path string }{
		{"password_file", w.PasswordFile}, {"certificate", w.Certificate}, {"key", w.Key},
	} {
		if file.path != "" && !filepath.IsAbs(file.path) {
			wrong(w, file.key, "want a path that begins with /")
		}
	}
	if (w.Certificate == "") != (w.Key == "") {
		wrong(w, "certificate", "want certificate and key, or neither")
	}
	w.checkPassword(wrong)
}

// WantHash says what password_hash takes. htpasswd prints the user before it, with a colon.
const WantHash = "want a bcrypt hash, which begins with $2: what htpasswd -nB USER prints after " +
	"the colon"

func (w *Web) checkPassword(wrong func(table any, key, text string)) {
	hash, file := w.PasswordHash != "", w.PasswordFile != ""
	switch {
	case hash && file:
		wrong(w, "password_file", "want password_hash or password_file, not both")
	case w.User == "" && (hash || file):
		wrong(w, "user", "is missing: a password needs one")
	case w.User != "" && !hash && !file:
		wrong(w, "user", "needs password_hash or password_file")
	}
	if hash {
		if _, err := bcrypt.Cost([]byte(w.PasswordHash)); err != nil {
			wrong(w, "password_hash", WantHash)
		}
	}
	if w.Enable && !w.Insecure && w.User == "" && !w.OnLoopback() {
		wrong(w, "listen", "anyone who reaches it could read the page: want a user with a "+
			"password, 127.0.0.1, or insecure = true")
	}
}

// OnLoopback reports whether the page can be reached from this machine alone.
func (w *Web) OnLoopback() bool {
	host, _, _ := net.SplitHostPort(string(w.Listen))
	ip, err := netip.ParseAddr(host)
	return w.Listen == "" || host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// CheckWeb returns why the web page can't be served as configured, or nil. Call it after flags
// have changed the configuration.
func (c *Config) CheckWeb() (err error) {
	c.Web.check(func(_ any, key, text string) {
		if err == nil {
			err = fmt.Errorf("[web] %s: %s", key, text)
		}
	})
	return err
}

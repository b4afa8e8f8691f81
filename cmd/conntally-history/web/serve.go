package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/bcrypt"

	"github.com/conntally/conntally/cmd/conntally-history/config"
	"github.com/conntally/conntally/cmd/internal/httpserver"
	"github.com/conntally/conntally/flow/regular"
)

// Access is who may read the pages.
type Access struct {
	Listen       string   // HOST:PORT; its host is one of those that may be asked for
	Hosts        []string // further ones
	User         string
	PasswordHash string // bcrypt; "": anyone may read
}

// maxHash is the largest file of a password's hash, in bytes.
const maxHash = 4 << 10

// LoadAccess returns who may read the pages, by the configuration and its password_file.
func LoadAccess(c *config.Web) (Access, error) {
	a := Access{
		Listen: string(c.Listen), Hosts: c.Hosts,
		User: c.User, PasswordHash: c.PasswordHash,
	}
	if c.PasswordFile != "" {
		text, err := regular.Read(c.PasswordFile, maxHash)
		if err != nil {
			return Access{}, fmt.Errorf("[web] password_file: %w", err)
		}
		a.PasswordHash = strings.TrimSpace(string(text))
		if a.PasswordHash == "" { // not: anyone may read
			return Access{}, fmt.Errorf("[web] password_file: %s is empty", c.PasswordFile)
		}
	}
	return a, a.Check()
}

// Check returns why the pages can't be served so, or nil.
func (a *Access) Check() error {
	if a.PasswordHash == "" {
		return nil
	}
	cost, err := bcrypt.Cost([]byte(a.PasswordHash))
	if err != nil {
		return errors.New("[web] password_hash: " + config.WantHash)
	}
	if cost > maxCost {
		return fmt.Errorf("[web] password_hash: a cost of %d takes too long; want %d at most",
			cost, maxCost)
	}
	return nil
}

// Server serves pages at an address.
type Server struct {
	c       config.Web
	tls     *tls.Config // nil: plain HTTP
	options Options
}

// NewServer checks what Listen needs: an error is one of the configuration, or an fs.PathError of
// a file that it names.
func NewServer(c *config.Web, o Options) (*Server, error) {
	access, err := LoadAccess(c)
	if err != nil {
		return nil, err
	}
	o.Access = access
	s := &Server{c: *c, options: o}
	if c.Certificate != "" {
		pair := &certificate{cert: c.Certificate, key: c.Key, now: o.Now}
		if _, err := pair.get(nil); err != nil {
			return nil, fmt.Errorf("[web] certificate: %w", err)
		}
		s.tls = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get}
	}
	return s, nil
}

// Listen listens at the configured address. serve then serves the pages by way of a server
// until ctx is done.
func (s *Server) Listen(ctx context.Context, server *httpserver.Server, log *zap.Logger,
) (serve func() error, err error) {
	handler, err := New(s.options)
	if err != nil {
		return nil, err
	}
	listener, err := httpserver.Listen(ctx, string(s.c.Listen), log)
	if err != nil {
		return nil, fmt.Errorf("can't serve the web page at %s: %w", s.c.Listen, err)
	}
	if s.options.Access.PasswordHash != "" && s.tls == nil && !s.c.OnLoopback() {
		log.Warn("the password of the web page crosses the network unencrypted; " +
			"certificate and key in [web] encrypt it")
	}
	server.TLS = s.tls
	return func() error { return server.Serve(ctx, listener, handler) }, nil
}

// certificateAge is how long a certificate is used until its files are looked at again.
const certificateAge = time.Minute

// certificate reads a certificate again once its file has changed, as those that renew
// themselves do.
type certificate struct {
	cert, key string
	now       func() time.Time

	mu      sync.Mutex
	pair    *tls.Certificate
	checked time.Time
	changed time.Time // the file's own time
}

// get implements tls.Config.GetCertificate. A new file that can't be read leaves the old
// certificate in use.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.pair != nil && now.Sub(c.checked) < certificateAge {
		return c.pair, nil
	}
	c.checked = now
	info, err := os.Stat(c.cert)
	if err == nil && (c.pair == nil || !info.ModTime().Equal(c.changed)) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.cert, c.key); err == nil {
			c.pair, c.changed = &pair, info.ModTime()
		}
	}
	if c.pair == nil {
		return nil, err
	}
	return c.pair, nil
}

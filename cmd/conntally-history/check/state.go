package check

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally-history/config"
	"github.com/conntally/conntally/cmd/conntally-history/services"
	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/conntally-history/web"
	shared "github.com/conntally/conntally/cmd/internal/condition"
)

// timeout bounds each question to another process.
const timeout = 5 * time.Second

// maxMetrics is how many bytes of metrics are read.
const maxMetrics = 1 << 20

// ReadState reads the state of the machine and of the service, which need not run. database is
// the path of the database.
func ReadState(ctx context.Context, c *config.Config, database string) *State {
	s := &State{
		Database: readDatabase(ctx, database, int64(c.Database.MaxSize)),
		Receive:  Listener{Address: string(c.Collector.Address)},
	}
	s.Receive.Err = tryListening(ctx, "udp", s.Receive.Address)
	if c.Web.Enable && c.Web.Listen != "" {
		s.Page.Address = string(c.Web.Listen)
		s.Page.Err = tryListening(ctx, "tcp", s.Page.Address)
		_, s.Access = web.LoadAccess(&c.Web)
	}
	s.Service = ask(ctx, &c.Web)
	s.Units = readUnits(ctx, c.Services.Enable)
	return s
}

func readDatabase(ctx context.Context, path string, limit int64) Database {
	d := Database{Path: path, Max: limit, Free: -1}
	var disk unix.Statfs_t
	if unix.Statfs(filepath.Dir(path), &disk) == nil {
		d.Free = int64(disk.Bavail) * int64(disk.Bsize) //nolint:unconvert // int32 on 32 bits
	}
	r, err := store.OpenReader(ctx, path, usage.Calendar{Location: time.Local})
	if err != nil {
		d.Err = err
		return d
	}
	d.Extent, err = r.Extent(ctx)
	d.Err = errors.Join(err, r.Close())
	return d
}

// tryListening listens for a moment. The service sets the same options.
func tryListening(ctx context.Context, network, address string) error {
	var c net.ListenConfig
	var l io.Closer
	var err error
	if network == "udp" {
		l, err = c.ListenPacket(ctx, network, address)
	} else {
		l, err = c.Listen(ctx, network, address)
	}
	if err != nil {
		return err
	}
	return l.Close()
}

// conditionMetric is how a metric of a condition that holds begins and ends.
const (
	conditionMetric = `conntally_history_condition{condition="`
	holds           = `"} 1`
)

// ask asks the service for its metrics, which have the conditions.
func ask(ctx context.Context, w *config.Web) (s Service) {
	if !w.Enable || w.Listen == "" {
		s.Err = errors.New("there is no page ([web] enable)")
		return s
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	response, err := get(ctx, metricsURL(w))
	if err != nil {
		s.Err = err
		return s
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusUnauthorized &&
		strings.Contains(response.Header.Get("WWW-Authenticate"), web.Realm) {
		s.Locked = true
		return s
	}
	lines := bufio.NewScanner(http.MaxBytesReader(nil, response.Body, maxMetrics))
	s.Err = fmt.Errorf("another program answers at %s", w.Listen)
	for lines.Scan() {
		id, found := strings.CutPrefix(lines.Text(), conditionMetric)
		if !found {
			continue
		}
		s.Err = nil
		if id, found = strings.CutSuffix(id, holds); found {
			s.Conditions = append(s.Conditions, shared.ID(id))
		}
	}
	if err := lines.Err(); err != nil {
		s.Err = fmt.Errorf("the metrics break off: %w", err)
	}
	return s
}

// metricsURL returns where the service's metrics are, from this machine.
func metricsURL(w *config.Web) string {
	scheme := "http"
	if w.Certificate != "" {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(string(w.Listen))
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/metrics"
}

func get(ctx context.Context, url string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	// The certificate is for the name that browsers use, not for this address.
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
		DisableKeepAlives: true,
	}
	return (&http.Client{Transport: transport}).Do(request)
}

func readUnits(ctx context.Context, enabled bool) Units {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	u := Units{Enabled: enabled}
	readings, err := services.Bus{}.Units(ctx, func(string) bool { return false })
	for i := range readings {
		u.Names = append(u.Names, readings[i].Unit)
	}
	slices.Sort(u.Names)
	u.Err = err
	return u
}

package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/condition"
)

const (
	requestTimeout = 15 * time.Second // bounds the wait for the whole answer
	maxAnswer      = 64 << 20
	maxList        = 65536 // elements
)

// ErrNotRunning means that nobody listens on the socket.
var ErrNotRunning = errors.New("conntally isn't running, or [control] is off")

// Client is a Source that asks a service over its socket. Make one with Dial.
type Client struct {
	path string
	most int64 // bytes of an answer, header included
}

// Dial returns a Client of the service that listens on a socket. The error is ErrNotRunning
// if there is none.
func Dial(ctx context.Context, path string) (*Client, error) {
	conn, err := dial(ctx, path)
	if err != nil {
		return nil, err
	}
	return &Client{path, maxAnswer}, conn.Close()
}

func dial(ctx context.Context, path string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	var errno syscall.Errno
	switch {
	case err == nil:
		return conn, nil
	case !errors.As(err, &errno):
		return nil, err
	case errno == unix.ENOENT || errno == unix.ECONNREFUSED:
		return nil, fmt.Errorf("%w: %s: %w", ErrNotRunning, path, errno)
	case errno == unix.EACCES || errno == unix.EPERM:
		return nil, fmt.Errorf("%s: %w: this requires root%s", path, errno, orGroupOf(path))
	}
	return nil, fmt.Errorf("%s: %w", path, errno)
}

// orGroupOf names the group whose members may connect, too.
func orGroupOf(path string) string {
	const or = " or membership in the group "
	info, err := os.Lstat(path)
	if err != nil { // its directory is closed as well
		return or + "of the service"
	}
	stat, known := info.Sys().(*syscall.Stat_t)
	if !known || stat.Gid == 0 {
		return ""
	}
	id := strconv.Itoa(int(stat.Gid))
	if group, err := user.LookupGroupId(id); err == nil {
		id = group.Name
	}
	return or + id
}

// Status implements Source.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s struct {
		Status
		Conditions list[condition.Condition] `json:"conditions"`
		Collectors list[Collector]           `json:"collectors"`
	}
	_, err := c.get(ctx, "/v1/status", nil, &s)
	s.Status.Conditions, s.Status.Collectors = s.Conditions, s.Collectors
	return s.Status, err
}

// Conditions implements Source.
func (c *Client) Conditions(ctx context.Context) ([]condition.Condition, error) {
	var conditions list[condition.Condition]
	_, err := c.get(ctx, "/v1/conditions", nil, &conditions)
	return conditions, err
}

// Devices implements Source.
func (c *Client) Devices(ctx context.Context, maxAge time.Duration) (*Devices, error) {
	var devices list[Device]
	read, err := c.get(ctx, "/v1/devices", withMaxAge(url.Values{}, maxAge), &devices)
	if err != nil {
		return nil, err
	}
	return &Devices{Read: read, Devices: devices}, nil
}

// Flows implements Source.
func (c *Client) Flows(
	ctx context.Context, device string, limit int, maxAge time.Duration,
) (*Flows, error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if device != "" {
		q.Set("device", device)
	}
	var f struct {
		Flows
		List list[Flow] `json:"flows"`
	}
	if _, err := c.get(ctx, "/v1/flows", withMaxAge(q, maxAge), &f); err != nil {
		return nil, err
	}
	f.Flows.Flows = f.List
	return &f.Flows, nil
}

func withMaxAge(q url.Values, maxAge time.Duration) url.Values {
	if maxAge > 0 {
		q.Set("max_age", maxAge.String())
	}
	return q
}

// get decodes the answer to a request into object, and returns the time of its reading.
func (c *Client) get(
	ctx context.Context, path string, q url.Values, object any,
) (read time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	conn, err := dial(ctx, c.path)
	if err != nil {
		return read, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	read, err = c.exchange(conn, path, q, object)
	switch {
	case err == nil || context.Cause(ctx) == nil:
		return read, err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return read, fmt.Errorf("%s: no answer within %v", c.path, requestTimeout)
	}
	return read, ctx.Err()
}

// exchange sends a request and reads its answer. net/http's client would do so as well, but
// makes the program larger by what it can do with other sockets.
func (c *Client) exchange(
	conn net.Conn, path string, q url.Values, object any,
) (read time.Time, err error) {
	target := url.URL{Path: path, RawQuery: q.Encode()}
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: conntally\r\nConnection: close\r\n\r\n",
		target.RequestURI())
	if err != nil {
		return read, err
	}
	limited := &io.LimitedReader{R: conn, N: c.most}
	response, err := http.ReadResponse(bufio.NewReader(limited), nil)
	if err == nil {
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return read, refusal(response)
		}
		err = json.NewDecoder(response.Body).Decode(object)
	}
	switch {
	case limited.N <= 0:
		return read, fmt.Errorf("the answer has more than %d MiB", c.most>>20)
	case err != nil:
		return read, fmt.Errorf("not an answer of conntally: %w", err)
	}
	if text := response.Header.Get(LastRead); text != "" {
		if read, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return read, fmt.Errorf("not an answer of conntally: %w", err)
		}
	}
	return read, nil
}

// refusal returns the error that a response describes.
func refusal(response *http.Response) error {
	var p problem
	const most = 4 << 10
	err := json.NewDecoder(io.LimitReader(response.Body, most)).Decode(&p)
	switch {
	case err != nil || p.Error == "":
		return fmt.Errorf("not an answer of conntally: %s", response.Status)
	case p.Error == ErrNoDevice.Error():
		return ErrNoDevice
	}
	return errors.New(p.Error)
}

// list is a slice that decodes JSON with a limit on its length: each two bytes "{}" would
// otherwise take the memory of an element.
type list[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (l *list[T]) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if start, err := d.Token(); err != nil || start != json.Delim('[') {
		return errors.New("a list is missing")
	}
	all := []T{}
	for d.More() {
		if len(all) == maxList {
			return fmt.Errorf("a list has more than %d elements", maxList)
		}
		var element T
		if err := d.Decode(&element); err != nil {
			return err
		}
		all = append(all, element)
	}
	*l = all
	return nil
}

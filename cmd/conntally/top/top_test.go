package top

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/control"
	"github.com/conntally/conntally/cmd/conntally/control/controltest"
)

// live is a home whose counters are read when somebody asks for newer ones.
type live struct {
	*controltest.Source
	mu     sync.Mutex // guards what follows
	read   time.Time
	delay  time.Duration // of an answer
	panics bool
}

func (l *live) change(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func newLive() *live {
	now := time.Now()
	return &live{Source: controltest.New(now), read: now}
}

func (l *live) Devices(ctx context.Context, maxAge time.Duration) (*control.Devices, error) {
	l.mu.Lock()
	delay, panics := l.delay, l.panics
	l.mu.Unlock()
	if panics {
		panic("a fault")
	}
	time.Sleep(delay)
	l.change(func() {
		if age := time.Since(l.read); age > maxAge {
			l.Advance(age)
			l.read = time.Now()
		}
	})
	return l.Source.Devices(ctx, maxAge)
}

// screenshot is a Terminal that keeps what was drawn last.
type screenshot struct {
	mu        sync.Mutex // guards what follows
	last      string
	suspended int
	err       error // of drawing
}

func (s *screenshot) Size() (width, height int) { return 80, 24 }

func (s *screenshot) Suspend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.suspended++
	return nil
}

func (s *screenshot) Draw(lines []Line, _ int) error {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.Text + "\n")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = b.String()
	return s.err
}

func (s *screenshot) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *screenshot) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// shown is a page that is shown until it ends.
type shown struct {
	*screenshot
	source *live
	input  chan []byte
	ended  chan error
	cancel func()
}

func open(t *testing.T) *shown {
	s := &shown{
		screenshot: &screenshot{}, source: newLive(),
		input: make(chan []byte), ended: make(chan error, 1),
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel = cancel
	o := &Options{Source: s.source}
	go func() {
		defer func() {
			if v := recover(); v != nil {
				s.ended <- errors.New("panic: " + v.(string))
			}
		}()
		s.ended <- o.Show(ctx, s, Events{Input: s.input})
	}()
	synctest.Wait()
	return s
}

func (s *shown) press(t *testing.T, keys, want string) {
	t.Helper()
	s.input <- []byte(keys)
	synctest.Wait()
	if !strings.Contains(s.text(), want) {
		t.Errorf("after %q there is no %q:\n%s", keys, want, s.text())
	}
}

// TestPageRefreshes: every 2 s, and at once where a page needs other flows.
func TestPageRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		if !strings.Contains(s.text(), "measuring") {
			t.Errorf("at first:\n%s", s.text())
		}
		time.Sleep(2100 * time.Millisecond)
		if !strings.Contains(s.text(), "24.0 Mbit/s") {
			t.Errorf("after 2 s:\n%s", s.text())
		}
		s.press(t, "c", "connections")
		s.press(t, "d\r", "smart-tv > destinations")
		s.press(t, "\x1b", "smart-tv > destinations") // an arrow may follow
		time.Sleep(2 * escapeDelay)
		if strings.Contains(s.text(), "smart-tv > ") {
			t.Errorf("Escape:\n%s", s.text())
		}
		s.source.Fail(errors.New("the service has ended"))
		time.Sleep(3 * time.Second)
		const failed = "the service has ended"
		if !strings.Contains(s.text(), failed) || !strings.Contains(s.text(), "24.0 Mbit/s") {
			t.Errorf("after a failure:\n%s", s.text())
		}
		s.source.Fail(nil)
		time.Sleep(3 * time.Second)
		if strings.Contains(s.text(), "the service has ended") {
			t.Errorf("after the failure:\n%s", s.text())
		}
		s.press(t, "\x1a", "devices")
		if s.suspended != 1 {
			t.Error("Ctrl-Z doesn't suspend")
		}
		s.input <- []byte("q")
		if err := <-s.ended; err != nil {
			t.Error(err)
		}
	})
}

// TestSlowAnswersDontHoldKeys: the page can always be left.
func TestSlowAnswersDontHoldKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		s.source.change(func() { s.source.delay = time.Minute })
		time.Sleep(3 * time.Second)
		s.press(t, "?", "sort by total")
		began := time.Now()
		s.input <- []byte("\x03")
		if err := <-s.ended; err != nil || time.Since(began) > 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		time.Sleep(2 * time.Minute) // the last answer
	})
}

// TestPageEnds: with whatever it depends on.
func TestPageEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*shown)
		want string
	}{
		"SIGTERM":              {func(s *shown) { s.cancel() }, ""},
		"the keyboard is gone": {func(s *shown) { close(s.input) }, ""},
		"the terminal is gone": {func(s *shown) { s.fail(unix.EIO) }, ""},
		"nobody reads":         {func(s *shown) { s.fail(unix.EPIPE) }, ""},
		"it can't be written":  {func(s *shown) { s.fail(unix.ENOSPC) }, "no space left"},
		"a panic in the source": {
			func(s *shown) { s.source.change(func() { s.source.panics = true }) },
			"panic: a fault"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := open(t)
				c.end(s)
				time.Sleep(3 * time.Second)
				err := <-s.ended
				if got := fmt.Sprint(err); !strings.Contains(got, cmp.Or(c.want, "<nil>")) {
					t.Errorf("%s, want %q", got, c.want)
				}
				s.cancel()
			})
		})
	}
}

// writer fails once it has got some blocks.
type writer struct {
	bytes.Buffer
	blocks, most int
}

func (w *writer) Write(b []byte) (int, error) {
	if w.blocks++; w.blocks > w.most {
		return 0, unix.EPIPE
	}
	return w.Buffer.Write(b)
}

// TestPrintedRows: once, and at each refresh until nobody reads.
func TestPrintedRows(t *testing.T) {
	for name, c := range map[string]struct {
		o    Options
		want string // the first words
		took time.Duration
	}{
		"once": {
			Options{Once: true},
			"DEVICE UP DOWN CONN TOP DESTINATION smart-tv 160 kbit/s 24.0 Mbit/s 2 203.0.113.7",
			2 * time.Second,
		},
		"at most": {
			Options{Once: true, View: Ports, Sort: ByUp, Rows: 1},
			"PORT UP DOWN CONN TOP DEVICE tcp/445 8.0 Mbit/s 40.0 kbit/s 1 " +
				"notebook-of-somebody-with-a-long-name 5 more rows; see -n",
			2 * time.Second,
		},
		"until nobody reads": {
			Options{View: Destinations},
			"DESTINATION UP DOWN CONN TOP DEVICE 203.0.113.7 160 kbit/s 24.0 Mbit/s 1 smart-tv",
			8 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out, began := &writer{most: 3}, time.Now()
				c.o.Source = newLive()
				if err := c.o.Print(t.Context(), out, 0); err != nil {
					t.Error(err)
				}
				words := strings.Join(strings.Fields(out.String()), " ")
				if !strings.HasPrefix(words, c.want) {
					t.Errorf("%s\nwant\n%s", out, c.want)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
			})
		})
	}
}

// TestJSONOfEachView: its keys and values.
func TestJSONOfEachView(t *testing.T) {
	const rest = `"up_bits_per_second":160000,"down_bits_per_second":24000000,"connections":`
	for view, want := range map[View]string{
		Devices:      `{"device":"02:00:00:00:00:01","name":"smart-tv",` + rest + `2}`,
		Destinations: `{"destination":"203.0.113.7",` + rest + `1}`,
		Connections: `{"connection":"tcp smart-tv > 203.0.113.7:443",` +
			`"device":"02:00:00:00:00:01","name":"smart-tv",` + rest + `1}`,
		Ports: `{"port":"tcp/443",` + rest + `1}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			o := Options{Source: newLive(), View: view, Once: true, JSON: true}
			if err := o.Print(t.Context(), &out, 0); err != nil {
				t.Fatal(err)
			}
			var got struct {
				Interval float64           `json:"interval_seconds"`
				Rows     []json.RawMessage `json:"rows"`
			}
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			var compact bytes.Buffer
			_ = json.Compact(&compact, got.Rows[0])
			if got.Interval != 2 || compact.String() != want {
				t.Errorf("%g: %s\nwant %s", got.Interval, compact.String(), want)
			}
		})
	}
}

// TestPrintedRowsComeWithWhatFails: each failure once, however many refreshes it lasts, and apart
// from the rows, which stay readable for programs.
func TestPrintedRowsComeWithWhatFails(t *testing.T) {
	const want = "failing: nf_conntrack_acct is 0: no packets or bytes are counted\n" +
		"failing: inet f: flowtable without counter: the traffic it forwards is not counted\n"
	for _, asJSON := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			source := newLive()
			source.Change(func(s *control.Status, _ *[]control.Device, _ *[]control.Flow) {
				s.Conditions = []condition.Condition{
					condition.Complete(condition.Condition{ID: condition.TimestampOff}),
					condition.Complete(condition.Condition{ID: condition.AcctOff}),
					condition.Complete(condition.Condition{
						ID: condition.FlowtableSilent, Subject: "inet f",
					}),
				}
			})
			var failures bytes.Buffer
			out := &writer{most: 3}
			o := Options{Source: source, JSON: asJSON, Failures: &failures}
			if err := o.Print(t.Context(), out, 0); err != nil {
				t.Error(err)
			}
			if failures.String() != want || strings.Contains(out.String(), "failing") {
				t.Errorf("JSON %t: failures\n%s\nrows\n%s", asJSON, &failures, out)
			}
		})
	}
}

// TestOnceWithoutAnotherReading: an error, not rows of zeros.
func TestOnceWithoutAnotherReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{Source: controltest.New(time.Now()), Once: true}
		err := o.Print(t.Context(), io.Discard, 0)
		if err == nil || !strings.Contains(err.Error(), "haven't been read again for 20s") {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := o.Print(ctx, io.Discard, 0); err != nil {
			t.Errorf("ended: %v", err)
		}
	})
}

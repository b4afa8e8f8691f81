package logging_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/internal/logging"
)

// lines collects what a logger writes.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// take returns the lines since the last call.
func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return strings.ReplaceAll(l.b.String(), "\n", "|")
}

// step is some time, then what was written in it.
type step struct {
	say  int // so often
	rest time.Duration
	want string
}

// TestRepeatedLinesAreCounted: a burst is written, the rest counted once a minute.
func TestRepeatedLinesAreCounted(t *testing.T) {
	const five = "<4>x|<4>x|<4>x|<4>x|<4>x|"
	cases := []struct {
		name  string
		steps []step
	}{
		{"few", []step{{5, time.Hour, five}, {5, time.Hour, five}}},
		{"many at once", []step{{46, time.Second, five}, {0, time.Minute, "<4>x (and 41 more in the last minute)|"}, {0, time.Hour, ""}, {1, 0, "<4>x|"}}},
		{"on and on", []step{
			{8, time.Minute, five + "<4>x (and 3 more in the last minute)|"},
			{8, time.Minute, "<4>x (and 8 more in the last minute)|"},
			{1, time.Minute, "<4>x (and 1 more in the last minute)|"},
			{0, time.Minute, ""}, {1, time.Minute, "<4>x|"},
		}},
		{"one in a minute", []step{{1, time.Minute, "<4>x|"}, {1, time.Minute, "<4>x|"}, {1, time.Minute, "<4>x|"}, {1, time.Minute, "<4>x|"}, {1, time.Minute, "<4>x|"}, {1, time.Minute, "<4>x|"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out lines
				log := logging.New(&out, logging.FormatJournald, zap.InfoLevel)
				for i, s := range c.steps {
					for range s.say {
						log.Warn("x")
					}
					time.Sleep(s.rest) // of the bubble's clock
					synctest.Wait()
					if got := out.take(); got != s.want {
						t.Errorf("step %d: wrote %s, want %s", i, got, s.want)
					}
				}
				time.Sleep(10 * time.Minute)
			})
		})
	}
}

// TestKindsAreLevelAndMessage: numbers don't distinguish lines, nor does the derived logger.
func TestKindsAreLevelAndMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lines
		log := logging.New(&out, logging.FormatJournald, zap.InfoLevel)
		for i := range 6 {
			log.With(zap.Int("a", i)).Warn("x", zap.Int("b", i))
		}
		log.Error("x")
		log.Warn("y")
		out.take()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got, want := out.take(), `<4>x (and 1 more in the last minute)  {"a": 5, "b": 5}|`; got != want {
			t.Errorf("wrote %s, want %s", got, want)
		}
	})
}

// TestCollectorsAreCountedSeparately: each is named, however many have the same message.
func TestCollectorsAreCountedSeparately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lines
		log := logging.New(&out, logging.FormatJournald, zap.InfoLevel)
		var want strings.Builder
		for i := range 8 {
			address := fmt.Sprintf("192.0.2.%d:2055", i)
			log.Warn("x", zap.Int("tries", 1), zap.String("collector", address))
			fmt.Fprintf(&want, `<4>x  {"tries": 1, "collector": %q}|`, address)
		}
		if got := out.take(); got != want.String() {
			t.Errorf("wrote %s, want %s", got, &want)
		}
		for i := range 6 { // with the one above, seven
			log.Warn("x", zap.Int("tries", 2+i), zap.String("collector", "192.0.2.3:2055"))
		}
		out.take()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got, want := out.take(), `<4>x (and 2 more in the last minute)  {"tries": 7, "collector": "192.0.2.3:2055"}|`; got != want {
			t.Errorf("wrote %s, want %s", got, want)
		}
	})
}

// TestReasonsAreCountedSeparately: each is written, and none of them all the time.
func TestReasonsAreCountedSeparately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lines
		log := logging.New(&out, logging.FormatJournald, zap.InfoLevel)
		for i := range 100 {
			log.Error("refused", zap.Int("line", i), zap.Strings("problems", []string{"first", fmt.Sprint("reason ", i%3)}))
			log.With(zap.Error(fmt.Errorf("because %d", i%2))).Error("failed")
		}
		said := out.take()
		for text, want := range map[string]int{"reason 0": 5, "reason 1": 5, "reason 2": 5, "because 0": 5, "because 1": 5} {
			if got := strings.Count(said, text); got != want {
				t.Errorf("%s: written %d times, want %d", text, got, want)
			}
		}
		time.Sleep(time.Hour)
	})
}

// TestReasonsAreBounded: those beyond maxReasons are counted together.
func TestReasonsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lines
		log := logging.New(&out, logging.FormatJournald, zap.InfoLevel)
		for range 2 { // the second time, all are forgotten
			for i := range 1000 {
				log.Error("refused", zap.Error(fmt.Errorf("port %d", i)))
			}
			if got, want := strings.Count(out.take(), "|"), 16+5; got != want {
				t.Errorf("%d lines, want %d", got, want)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if got := out.take(); strings.Count(got, "|") != 1 || !strings.Contains(got, "(and 979 more in the last minute)") {
				t.Errorf("then %s", got)
			}
		}
	})
}

// TestSyncWritesCounts: so the end of the program doesn't swallow them.
func TestSyncWritesCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lines
		log := logging.New(&out, logging.FormatJournald, zap.InfoLevel)
		for range 7 {
			log.Warn("x")
		}
		out.take()
		if err := log.Sync(); err != nil {
			t.Fatal(err)
		}
		if got, want := out.take(), "<4>x (and 2 more in the last minute)|"; got != want {
			t.Errorf("wrote %s, want %s", got, want)
		}
		time.Sleep(time.Hour)
		if got := out.take(); got != "" {
			t.Errorf("and again: %s", got)
		}
	})
}

// failing is a log that can't be written.
type failing struct{}

var errFull = errors.New("full")

func (failing) Write([]byte) (int, error) { return 0, errFull }

// TestSyncReturnsWriteError: a log that can't be written is reported.
func TestSyncReturnsWriteError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := logging.New(failing{}, logging.FormatJournald, zap.InfoLevel).WithOptions(zap.ErrorOutput(new(discard)))
		for range 7 {
			log.Warn("x")
		}
		if err := log.Sync(); !errors.Is(err, errFull) {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Hour)
	})
}

type discard struct{}

func (*discard) Write(b []byte) (int, error) { return len(b), nil }
func (*discard) Sync() error                 { return nil }

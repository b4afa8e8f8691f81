package logging_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/internal/logging"
)

// TestEachFormat: of one line with fields.
func TestEachFormat(t *testing.T) {
	const warning = `trouble  {"setting": "acct", "tries": 3, "after": "2s"}`
	cases := []struct {
		format logging.Format
		want   string
	}{
		{logging.FormatConsole, `^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d  WARN  ` + regexp.QuoteMeta(warning) + "\n$"},
		{logging.FormatAuto, `^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d  WARN  ` + regexp.QuoteMeta(warning) + "\n$"},
		{logging.FormatJournald, "^<4>" + regexp.QuoteMeta(warning) + "\n$"},
		{logging.FormatJSON, `^\{"level":"warn","time":"20.*","msg":"trouble","setting":"acct","tries":3,"after":"2s"\}` + "\n$"},
	}
	for _, c := range cases {
		var b bytes.Buffer
		log := logging.New(&b, c.format, zap.InfoLevel)
		log.Debug("too little")
		log.With(zap.String("setting", "acct")).Warn("trouble", zap.Int("tries", 3), zap.Duration("after", 2*time.Second))
		if !regexp.MustCompile(c.want).MatchString(b.String()) {
			t.Errorf("%v: got %q, want %s", c.format, &b, c.want)
		}
	}
}

// TestJournalLinesBeginWithPriority: of their level.
func TestJournalLinesBeginWithPriority(t *testing.T) {
	var b bytes.Buffer
	log := logging.New(&b, logging.FormatJournald, zap.DebugLevel)
	log.Debug("a")
	log.Info("b")
	log.Warn("c")
	log.Error("d")
	log.DPanic("e")
	if got, want := b.String(), "<7>a\n<6>b\n<4>c\n<3>d\n<2>e\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestEachJSONLineIsAnObject: whatever the message and fields contain.
func TestEachJSONLineIsAnObject(t *testing.T) {
	var b bytes.Buffer
	log := logging.New(&b, logging.FormatJSON, zap.InfoLevel)
	log.Info("two\nlines", zap.Error(fmt.Errorf("quote \" and \xff")))
	var v struct {
		Time time.Time `json:"time"`
		Msg  string    `json:"msg"`
	}
	if err := json.Unmarshal(b.Bytes(), &v); err != nil || v.Msg != "two\nlines" || v.Time.IsZero() {
		t.Errorf("%q: %+v, %v", &b, v, err)
	}
}

// TestNewlinesDoNotSplitJournalEntries: the journal reads line by line.
func TestNewlinesDoNotSplitJournalEntries(t *testing.T) {
	var b bytes.Buffer
	logging.New(&b, logging.FormatJournald, zap.InfoLevel).Info("said", zap.String("what", "one\ntwo"))
	if got, want := b.String(), "<6>said  {\"what\": \"one\\ntwo\"}\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestAutoFollowsJournalStream: the format is journald only if the stream is the one that
// systemd names.
func TestAutoFollowsJournalStream(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var s unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &s); err != nil {
		t.Fatal(err)
	}
	cases := []struct{ stream, want, said string }{
		{"", `^20.*  INFO  here`, "two\nlines\n"},
		{fmt.Sprintf("%d:%d", s.Dev, s.Ino+1), `^20.*  INFO  here`, "two\nlines\n"}, // it was, before a redirection
		{fmt.Sprintf("%d:%d", s.Dev, s.Ino), `^<6>here`, "<3>two\n<3>lines\n"},
	}
	for _, c := range cases {
		t.Setenv("JOURNAL_STREAM", c.stream)
		log := written(t, file, func() { logging.New(file, logging.FormatAuto, zap.InfoLevel).Info("here") })
		if !regexp.MustCompile(c.want).MatchString(log) {
			t.Errorf("JOURNAL_STREAM=%s: %q, want %s", c.stream, log, c.want)
		}
		said := written(t, file, func() { logging.Say(file, zap.ErrorLevel, "two\nlines") })
		if said != c.said {
			t.Errorf("JOURNAL_STREAM=%s: %q, want %q", c.stream, said, c.said)
		}
	}
}

// written returns what write has put into an emptied file.
func written(t *testing.T, file *os.File, write func()) string {
	t.Helper()
	if err := file.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	write()
	b, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

package top

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/control"
	"github.com/conntally/conntally/cmd/conntally/control/controltest"
	"github.com/conntally/conntally/cmd/internal/text"
)

var update = flag.Bool("update", false, "rewrite testdata")

func noon() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) }

// sample returns what a source answers now.
func sample(t testing.TB, s control.Source, device string) *Sample {
	t.Helper()
	o := Options{Source: s}
	now, err := o.fetch(t.Context(), device)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// measured returns a screen after two readings, 2 s apart.
func measured(t testing.TB, source *controltest.Source, view View) *Screen {
	s := NewScreen(view, ByTotal, 0)
	s.Take(sample(t, source, ""))
	source.Advance(2 * time.Second)
	s.Take(sample(t, source, ""))
	return s
}

// press presses keys; after those that need other flows it takes them.
func press(t testing.TB, source *controltest.Source, s *Screen, keys ...Key) {
	for _, k := range keys {
		if _, ask := s.Key(k); ask {
			s.Take(sample(t, source, s.Device()))
		}
	}
}

// TestScreens compares screens with testdata, at 80x24 and 60x20.
func TestScreens(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T) *Screen{
		"reading": func(*testing.T) *Screen { return NewScreen(Devices, ByTotal, 0) },
		"first": func(t *testing.T) *Screen {
			s := NewScreen(Devices, ByTotal, 0)
			s.Take(sample(t, controltest.New(noon()), ""))
			return s
		},
		"devices":      of(Devices),
		"destinations": of(Destinations),
		"connections":  of(Connections),
		"ports":        of(Ports),
		"device": func(t *testing.T) *Screen {
			source := controltest.New(noon())
			s := measured(t, source, Devices)
			press(t, source, s, 'n', KeyDown, KeyEnter, 'c')
			return s
		},
		"help": func(t *testing.T) *Screen {
			s := measured(t, controltest.New(noon()), Devices)
			s.Key('?')
			return s
		},
		"problems": problems,
		"many":     many,
	} {
		var all bytes.Buffer
		for _, size := range [][2]int{{80, 24}, {60, 20}} {
			s := prepare(t)
			fmt.Fprintf(&all, "+%s+\n", strings.Repeat("-", size[0]))
			for _, l := range s.Render(size[0], size[1], noon().Add(3*time.Second)) {
				style := []string{"", " bold", " selected", " warning", " faint"}[l.Style]
				fmt.Fprintf(&all, "|%s|%s\n", text.Pad(l.Text, size[0], false), style)
			}
		}
		golden(t, name, all.Bytes())
	}
}

// of returns what prepares a screen with a view of the home.
func of(view View) func(*testing.T) *Screen {
	return func(t *testing.T) *Screen { return measured(t, controltest.New(noon()), view) }
}

// problems: two conditions hold, and the service has just stopped.
func problems(t *testing.T) *Screen {
	source := controltest.New(noon())
	source.Change(func(s *control.Status, _ *[]control.Device, _ *[]control.Flow) {
		s.Conditions = []condition.Condition{
			condition.Complete(condition.Condition{ID: condition.TimestampOff}),
			condition.Complete(condition.Condition{ID: condition.AcctOff}),
		}
	})
	return measured(t, source, Devices)
}

// many devices, with hostile names, the selection far down.
func many(t *testing.T) *Screen {
	source := controltest.New(noon())
	source.Change(func(_ *control.Status, devices *[]control.Device, _ *[]control.Flow) {
		for i := range 100 {
			name := fmt.Sprintf("冷蔵庫-\x1b[2J\u202e%03d-with-a-long-name", i)
			d := control.Device{Device: fmt.Sprint(i), Name: name, Connections: i}
			*devices = append(*devices, d)
		}
	})
	s := measured(t, source, Devices)
	press(t, source, s, 'm', KeyPageDown, KeyPageDown, KeyDown)
	s.Render(80, 24, noon())
	return s
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %v: got\n%s\nwant\n%s", path, err, got, want)
	}
}

// TestSelectionFollowsItsRow: wherever a refresh or an order moves that.
func TestSelectionFollowsItsRow(t *testing.T) {
	source := controltest.New(noon())
	s := measured(t, source, Devices)
	selected := func() string { return s.rows()[s.page().index].Name }
	if got := selected(); got != "smart-tv" {
		t.Errorf("at first %s", got)
	}
	press(t, source, s, 'j', 'j')
	if got := selected(); got != "192.0.2.9" {
		t.Errorf("two down: %s", got)
	}
	press(t, source, s, 'm')
	if got := selected(); got != "192.0.2.9" || s.page().index != 3 {
		t.Errorf("by connections: %s at %d", got, s.page().index)
	}
	press(t, source, s, KeyHome, 's')
	if s.page().index != 0 {
		t.Error("the top doesn't stay selected")
	}
	press(t, source, s, KeyEnd)
	if got := selected(); got != "router" {
		t.Errorf("the end: %s", got)
	}
}

// TestBackLeadsToWhereEnterWas: through the pages of a device and a destination.
func TestBackLeadsToWhereEnterWas(t *testing.T) {
	source := controltest.New(noon())
	s := measured(t, source, Devices)
	press(t, source, s, KeyDown, KeyEnter)
	if s.Device() != "02:00:00:00:00:02" || s.page().view != Destinations || len(s.rows()) != 3 {
		t.Fatalf("a device: %+v, %d rows", s.page(), len(s.rows()))
	}
	press(t, source, s, KeyEnter)
	if s.page().view != Connections || len(s.rows()) != 1 || s.rows()[0].Up == 0 {
		t.Fatalf("its destination: %+v, rows %+v", s.page(), s.rows())
	}
	press(t, source, s, KeyEnter) // leads nowhere
	press(t, source, s, KeyBackspace, KeyEscape)
	if s.Device() != "" || s.page().view != Devices || s.page().index != 1 {
		t.Errorf("back: %+v", s.page())
	}
	press(t, source, s, KeyEscape) // there is nothing before it
	if quit, _ := s.Key('q'); !quit {
		t.Error("q doesn't quit")
	}
}

// TestRatesOfReadings: from what moved between them, kept while there is no other.
func TestRatesOfReadings(t *testing.T) {
	source := controltest.New(noon())
	s := measured(t, source, Devices)
	check := func(when string) {
		t.Helper()
		row := s.rows()[0]
		if row.Down != 24e6 || row.Up != 160e3 {
			t.Errorf("%s: %+v", when, row)
		}
		if s.rates.Interval != 2*time.Second || s.rates.WAN[1] != 25.6e6 {
			t.Errorf("%s: interval %v, %v", when, s.rates.Interval, s.rates.WAN)
		}
		if flow := s.rates.flows[flowKey(&s.sample.Flows.Flows[0])]; flow.down != 24e6 {
			t.Errorf("%s: a connection's rate %+v", when, flow)
		}
	}
	check("two readings")
	s.Take(sample(t, source, ""))
	check("the same once more")
	source.Advance(2 * time.Second)
	s.Fail(errors.New("no answer"))
	check("after a failure")
	source.Change(func(_ *control.Status, devices *[]control.Device, _ *[]control.Flow) {
		(*devices)[0].WAN = control.Usage{DownBytes: 1000} // the service was restarted
	})
	s.Take(sample(t, source, ""))
	if got := s.rates.devices["02:00:00:00:00:01"].down; got != 4000 {
		t.Errorf("counters that began again: %g", got)
	}
}

// FuzzRender: any size and name gives lines that fit, without control characters.
func FuzzRender(f *testing.F) {
	f.Add(80, 24, "smart-tv", []byte("jc\rqd?"))
	f.Add(1, 1, "\x1b[2J冷蔵庫", []byte("\x1b[B\r\r\x7f"))
	f.Fuzz(func(t *testing.T, width, height int, name string, typed []byte) {
		width, height = width%300, height%100
		source := controltest.New(noon())
		source.Change(func(_ *control.Status, devices *[]control.Device, flows *[]control.Flow) {
			(*devices)[0].Name, (*flows)[0].Name, (*flows)[1].Dst = name, name, name
		})
		s := measured(t, source, Devices)
		var parser keyParser
		press(t, source, s, append(parser.Feed(typed), parser.Flush()...)...)
		lines := s.Render(width, height, noon())
		if len(lines) != max(0, min(height, height*width)) && width > 0 {
			t.Errorf("%d lines at %dx%d", len(lines), width, height)
		}
		for _, l := range lines {
			if text.Width(l.Text) > width || text.Clean(l.Text) != l.Text {
				t.Errorf("%q at %dx%d", l.Text, width, height)
			}
		}
	})
}

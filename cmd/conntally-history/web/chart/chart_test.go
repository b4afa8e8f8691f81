package chart

import (
	"encoding/xml"
	"errors"
	"flag"
	"html/template"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conntally/conntally/cmd/internal/text"
)

var update = flag.Bool("update", false, "rewrite testdata")

// hostile is a name that no device should have.
const hostile = `"><script>alert(1)</script>'&]]>{{.}}`

func drawings() map[string]template.HTML {
	day := &Bars{ID: "hours", Title: "Last 6 hours", Desc: "3.1 GB down.", Format: text.Bytes}
	for i, v := range []uint64{0, 1_200_000_000, 900, 3_100_000_000, 800_000_000, 0} {
		bar := Bar{Tip: "hour " + string(rune('0'+i)), Down: v, Up: v / 4, Absent: i == 4}
		if i%3 == 0 {
			bar.Label, bar.Minor = "0"+string(rune('0'+i))+":00", i == 3
		}
		day.Bars = append(day.Bars, bar)
	}
	evil := &Bars{ID: hostile, Title: hostile, Desc: hostile, Format: func(uint64) string { return hostile }}
	evil.Bars = []Bar{{Tip: hostile, Label: hostile, Down: math.MaxUint64, Up: math.MaxUint64}}
	talk := &Heat{
		ID: "talk", Title: "When it talks", Desc: "Most on Mon.", Rows: []string{"Mon", hostile},
		Columns: []string{"00:00", "", hostile},
		Cells:   [][]Cell{{{"a", 0}, {"b", 1}, {hostile, 1_000_000}}, {{"d", 250_000}, {}, {}}},
	}
	return map[string]template.HTML{
		"bars":         day.SVG(),
		"bars-empty":   (&Bars{ID: "none", Title: "Nothing", Format: text.Bytes}).SVG(),
		"bars-hostile": evil.SVG(),
		"heat":         talk.SVG(),
		"heat-empty":   (&Heat{ID: "none", Title: "Nothing"}).SVG(),
		"meter":        (&Meter{Used: 45, Limit: 100, Expected: 90, Label: hostile}).SVG(),
		"meter-close":  (&Meter{Used: 45, Limit: 100, Expected: 130, Label: "close"}).SVG(),
		"meter-over":   (&Meter{Used: 150, Limit: 100, Label: "over"}).SVG(),
		"meter-none":   (&Meter{Label: "none"}).SVG(),
		"share":        Share{Down: 50, Up: 25, Largest: 100}.SVG(),
		"share-none":   Share{}.SVG(),
	}
}

// TestDrawings compares each drawing with the one in testdata, which -update writes.
func TestDrawings(t *testing.T) {
	for name, svg := range drawings() {
		path := filepath.Join("testdata", name+".svg")
		got := strings.ReplaceAll(string(svg), "><", ">\n<") + "\n"
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is\n%swant\n%s", name, got, want)
		}
	}
}

// TestDrawingsAreWellFormed: whatever is in a text is text, and what is drawn has a name or is
// hidden. No drawing has a script, a style or a reference to anything outside the page.
func TestDrawingsAreWellFormed(t *testing.T) {
	allowed := map[string]bool{
		"svg": true, "g": true, "rect": true, "line": true, "text": true, "title": true, "desc": true,
	}
	for name, svg := range drawings() {
		d := xml.NewDecoder(strings.NewReader(string(svg)))
		named := false
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
			e, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			if !allowed[e.Name.Local] {
				t.Errorf("%s has an element %s", name, e.Name.Local)
			}
			for _, a := range e.Attr {
				switch n := a.Name.Local; {
				case n == "aria-labelledby", n == "aria-label", n == "aria-hidden":
					named = true
				case strings.HasPrefix(n, "on"), n == "style", n == "href":
					t.Errorf("%s has an attribute %s", name, n)
				}
			}
		}
		if !named {
			t.Errorf("%s has neither a name nor is hidden", name)
		}
	}
}

// TestScaleIsRoundAndHighEnough for any value.
func TestScaleIsRoundAndHighEnough(t *testing.T) {
	for most, want := range map[uint64]uint64{
		0: 10, 10: 10, 11: 20, 81: 100, 100: 100, 123: 200, 1_000_000_001: 2_000_000_000,
	} {
		if top, lines := scale(most); top != want || top%uint64(lines) != 0 {
			t.Errorf("%d: %d in %d", most, top, lines)
		}
	}
	for most := uint64(1); most < math.MaxUint64/100; most = most*3 + 1 {
		top, lines := scale(most)
		if top < most || top > 20*most && top > 10 || top%uint64(lines) != 0 || lines < 2 {
			t.Errorf("%d: %d in %d", most, top, lines)
		}
	}
	if top, _ := scale(math.MaxUint64); top == 0 {
		t.Error("the largest value has no scale")
	}
}

// TestWhatMovedIsVisible however little it was; and nothing stands above the chart.
func TestWhatMovedIsVisible(t *testing.T) {
	for _, c := range []struct {
		value, top uint64
		want       float64
	}{
		{0, 100, 0}, {1, 1_000_000, 1}, {50, 100, barsHeight / 2}, {math.MaxUint64, 100, barsHeight},
	} {
		if got := visible(c.value, c.top); got != c.want {
			t.Errorf("%d of %d: %v pixels, want %v", c.value, c.top, got, c.want)
		}
	}
}

// TestShadesFollowTheSquareRoot: the largest is darkest, and only nothing has no shade.
func TestShadesFollowTheSquareRoot(t *testing.T) {
	for value, want := range map[uint64]int{0: 0, 1: 1, 40_000: 1, 250_000: 3, 999_999: 5, 1_000_000: 5} {
		if got := level(value, 1_000_000); got != want {
			t.Errorf("%d: shade %d, want %d", value, got, want)
		}
	}
}

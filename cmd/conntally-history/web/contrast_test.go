package web

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestColoursContrast: each text with what may be behind it by 4.5 at least, and what charts
// show by 3, as WCAG 2.2 asks for; in both schemes.
func TestColoursContrast(t *testing.T) {
	css, err := files.ReadFile("templates/style.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, found := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	if !found {
		t.Fatal("there is no dark scheme")
	}
	dark, _, _ = strings.Cut(dark, "\n}\n")
	schemes := map[string]map[string]float64{"light": luminances(t, light), "dark": luminances(t, dark)}
	for name, colours := range schemes {
		for _, pair := range []struct {
			front, back string
			least       float64
		}{
			{"text", "page", 4.5}, {"text", "panel", 4.5}, {"text", "track", 4.5},
			{"text", "warn-panel", 4.5}, {"text", "bad-panel", 4.5},
			{"muted", "page", 4.5}, {"muted", "panel", 4.5},
			{"link", "page", 4.5}, {"link", "panel", 4.5}, {"link", "warn-panel", 4.5},
			{"down", "panel", 4.5}, {"up", "panel", 4.5},
			{"warn", "panel", 4.5}, {"warn", "warn-panel", 4.5},
			{"bad", "panel", 4.5}, {"bad", "bad-panel", 4.5}, {"panel", "link", 4.5},
			{"down", "absent", 3}, {"up", "absent", 3}, {"down", "track", 3}, {"bad", "track", 3},
		} {
			front, ok := colours[pair.front]
			back, known := colours[pair.back]
			if !ok || !known {
				t.Errorf("%s: there is no %s or %s", name, pair.front, pair.back)
				continue
			}
			ratio := (math.Max(front, back) + 0.05) / (math.Min(front, back) + 0.05)
			if ratio < pair.least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, less than %v", name, pair.front,
					pair.back, ratio, pair.least)
			}
		}
	}
	if len(schemes["light"]) != len(schemes["dark"]) {
		t.Errorf("a colour has one scheme only: %v %v", schemes["light"], schemes["dark"])
	}
}

// luminances returns the relative luminance of each colour that is defined.
func luminances(t *testing.T, css string) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(css, -1) {
		sum := 0.0
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			n, err := strconv.ParseUint(m[2][2*i:2*i+2], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			v := float64(n) / 255
			if v <= 0.04045 {
				v /= 12.92
			} else {
				v = math.Pow((v+0.055)/1.055, 2.4)
			}
			sum += weight * v
		}
		all[m[1]] = sum
	}
	return all
}

// TestStyleSheetNamesNothingElsewhere: no address, no import.
func TestStyleSheetNamesNothingElsewhere(t *testing.T) {
	css, err := files.ReadFile("templates/style.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"url(", "@import", "http", "//", "@font-face"} {
		if strings.Contains(string(css), s) {
			t.Errorf("it has %q", s)
		}
	}
}

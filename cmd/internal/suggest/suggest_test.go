package suggest

import "testing"

func TestClosest(t *testing.T) {
	words := []string{"active_timeout", "idle_timeout", "nat", "max_flows", "route_mark", "nat_events"}
	for word, want := range map[string]string{
		"":                "",
		"nat":             "nat",
		"nta":             "nat",
		"Nat":             "nat",
		"NAT":             "nat",
		"natt":            "nat",
		"active-timeout":  "active_timeout",
		"activ_timeout":   "active_timeout",
		"idel_timeout":    "idle_timeout",
		"timeout":         "",
		"maxflows":        "max_flows",
		"nat_event":       "nat_events",
		"xyz":             "",
		"completely_else": "",
	} {
		if got := Closest(word, words); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0},
		{"abc", "acb", 1}, {"abc", "bc", 1}, {"abc", "abcd", 1}, {"abc", "axc", 1},
		{"kitten", "sitting", 3}, {"abcd", "badc", 2},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

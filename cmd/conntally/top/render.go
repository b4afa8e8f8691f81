package top

import (
	"fmt"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/control"
	"github.com/conntally/conntally/cmd/conntally/show"
	"github.com/conntally/conntally/cmd/internal/text"
)

// Render returns height lines of at most width columns.
func (s *Screen) Render(width, height int, now time.Time) []Line {
	if width < 1 || height < 1 {
		return nil
	}
	const headLines, footLines = 3, 2
	s.room = max(1, height-headLines-1-footLines)
	head := []Line{
		{edges(s.title(), clock(now), width), Bold},
		{fitting(s.totals(), width), Plain},
		s.problem(width),
	}
	foot := s.footer(width)
	var body []Line
	if s.help {
		body = helpLines(width)
	} else {
		body = s.body(width)
	}
	lines := append(head, body...)
	for len(lines) < height-len(foot) {
		lines = append(lines, Line{})
	}
	lines = append(lines[:max(min(len(lines), height-len(foot)), 0)], foot...)
	return lines[:min(len(lines), height)]
}

// title returns the path to the page, such as "conntally: devices > smart-tv > destinations".
func (s *Screen) title() string {
	parts := []string{}
	for _, p := range s.pages[1:] {
		parts = append(parts, p.title)
	}
	names := []string{"devices", "destinations", "connections", "ports"}
	return "conntally: " + strings.Join(append(parts, names[s.page().view]), " > ")
}

// totals returns the sum of all traffic, or that of an opened device, as parts of a line. The
// first are the most important.
func (s *Screen) totals() []string {
	if s.sample == nil {
		return []string{"reading the counters ..."}
	}
	if d := s.device(); d != nil {
		return []string{
			show.Address(d),
			"WAN sent " + text.Bytes(d.WAN.UpBytes) + ", received " + text.Bytes(d.WAN.DownBytes),
			"LAN " + text.Bytes(d.LAN.UpBytes+d.LAN.DownBytes),
			show.Plural(d.Connections, "connection"),
		}
	}
	count := show.Plural(s.sample.Status.Connections, "connection")
	if s.rates.Interval == 0 {
		return []string{count, "measuring ..."}
	}
	return []string{
		"WAN up " + bitRate(s.rates.WAN[0]) + ", down " + bitRate(s.rates.WAN[1]), count,
		"LAN " + bitRate(s.rates.LAN[0]), // each byte is up to one device, and down to another
	}
}

// device returns the device that was opened, or nil.
func (s *Screen) device() *control.Device {
	if id := s.Device(); id != "" {
		for i := range s.sample.Devices.Devices {
			if d := &s.sample.Devices.Devices[i]; d.Device == id {
				return d
			}
		}
	}
	return nil
}

// problem returns a line about what is wrong, if anything is.
func (s *Screen) problem(width int) Line {
	switch {
	case s.err != nil && s.sample != nil:
		read := clock(s.sample.Devices.Read.Local())
		return Line{text.Cut(fmt.Sprintf("as of %s: %v", read, s.err), width), Warning}
	case s.err != nil:
		return Line{text.Cut(s.err.Error(), width), Warning}
	case s.sample == nil || len(s.sample.Status.Conditions) == 0:
		return Line{}
	}
	list := s.sample.Status.Conditions
	worst := &list[0]
	for i := range list {
		if worst.Severity != condition.Failing && list[i].Severity == condition.Failing {
			worst = &list[i]
		}
	}
	line := string(worst.Severity) + ": " + worst.String()
	if len(list) > 1 {
		line = fmt.Sprintf("%s (1 of %d): %s", worst.Severity, len(list), worst.String())
	}
	return Line{text.Cut(line, width), Warning}
}

// body returns the table: its head and the visible rows. ">" marks the selected one.
func (s *Screen) body(width int) []Line {
	const mark = "> "
	if s.sample == nil {
		return nil
	}
	rows, p := s.rows(), s.page()
	p.first = max(min(p.first, p.index, len(rows)-s.room), p.index-s.room+1, 0)
	visible := rows[p.first:min(len(rows), p.first+s.room)]
	measured := s.rates.Interval > 0 || p.view != Devices
	var lines []Line
	t := table(p.view, visible, namesOf(s.sample.Devices), p.filter.Device != "", measured)
	for i, line := range t.Lines(max(1, width-len(mark))) {
		switch {
		case i == 0:
			lines = append(lines, Line{text.Cut("  "+line, width), Bold})
		case p.first+i-1 == p.index:
			lines = append(lines, Line{text.Cut(mark+line, width), Selected})
		default:
			lines = append(lines, Line{text.Cut("  "+line, width), Plain})
		}
	}
	return lines
}

// footer returns the keys, and which rows are visible.
func (s *Screen) footer(width int) []Line {
	keys := "d devices  t destinations  c connections  p ports  Enter open  ? help  q quit"
	if width < len(keys) {
		keys = "d dev  t dest  c conn  p ports  Enter open  ? help  q quit"
	}
	where := ""
	if s.sample != nil && !s.help {
		rows, p := s.rows(), s.page()
		n := len(rows)
		where = fmt.Sprintf("%d-%d of %d", min(p.first+1, n), min(p.first+s.room, n), n)
		if s.sample.Flows.Omitted > 0 && p.view != Devices {
			where = omitted(s.sample.Flows.Omitted) + "  " + where
		}
	}
	return []Line{
		{edges(s.sortKeys(width), where, width), Faint},
		{text.Cut(keys, width), Faint},
	}
}

// sortKeys returns the keys that sort, with the order in force in brackets.
func (s *Screen) sortKeys(width int) string {
	names := []string{"s total", "u up", "n down", "m connections"}
	if width < 80 {
		names[3] = "m conn"
	}
	now := s.page().sort
	names[now] = "[" + names[now] + "]"
	return "sort: " + strings.Join(names, "  ")
}

// helpLines returns the help, in place of the table.
func helpLines(width int) []Line {
	lines := []Line{{"", Plain}}
	for _, k := range []struct{ key, does string }{
		{"d t c p", "devices, destinations, connections, ports"},
		{"s u n m", "sort by total, up, down, connections"},
		{"arrows, j k", "select; also PgUp PgDn Home End g G Space"},
		{"Enter", "a device's destinations, their connections"},
		{"Esc, Backspace", "back"},
		{"q, Ctrl-C", "quit; Ctrl-Z suspends"},
		{"", ""},
		{"up, down", "what the device sends, what it receives"},
		{"WAN, LAN", "the other end is behind an uplink, or not"},
		{"> <", "opened by the device, by the other end"},
	} {
		for i, part := range text.Wrap(k.does, max(2, width-18)) {
			key := k.key
			if i > 0 {
				key = ""
			}
			line := strings.TrimRight("  "+text.Pad(key, 14, false)+"  "+part, " ")
			lines = append(lines, Line{text.Cut(line, width), Plain})
		}
	}
	return lines
}

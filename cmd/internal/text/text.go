// Package text fits values into the columns of a terminal.
//
//	1234567890 bytes -> "1.2 GB"; "a long name", 6 columns -> "a lon…"
package text

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bytes formats a number of bytes in at most 8 columns, such as "1.2 GB" (10^9 bytes).
func Bytes(n uint64) string { return scaled(float64(n), "B") }

// BitRate formats a rate in bits per second in at most 11 columns, such as "12.3 Mbit/s".
func BitRate(perSecond float64) string {
	if !(perSecond > 0) { // or not a number
		perSecond = 0
	}
	return scaled(perSecond, "bit/s")
}

// scaled formats a number with three digits at least, and a prefix of the SI.
func scaled(v float64, unit string) string {
	const prefixes = " kMGTPE"
	i := 0
	for ; v >= 999.5 && i < len(prefixes)-1; i++ {
		v /= 1000
	}
	if i == 0 {
		return strconv.FormatFloat(v, 'f', 0, 64) + " " + unit
	}
	decimals := 1
	if v >= 99.95 {
		decimals = 0
	}
	if v > 9999 { // beyond the largest prefix
		v = 9999
	}
	return strconv.FormatFloat(v, 'f', decimals, 64) + " " + prefixes[i:i+1] + unit
}

// Duration formats a time span in at most 6 columns, such as "9s", "1m05s", "3h07m" or "12d".
func Duration(d time.Duration) string {
	pair := func(n, m time.Duration, units string) string {
		text := strconv.Itoa(int(n)) + units[:1]
		if m < 10 {
			text += "0"
		}
		return text + strconv.Itoa(int(m)) + units[1:]
	}
	switch d = max(d, 0).Round(time.Second); {
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d >= 10*time.Minute && d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < time.Hour:
		return pair(d/time.Minute, d%time.Minute/time.Second, "ms")
	case d < 24*time.Hour:
		return pair(d/time.Hour, d%time.Hour/time.Minute, "hm")
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + "d"
}

// maxMarks is the number of combining marks that a character keeps.
const maxMarks = 2

// Clean returns s as it may be written to any terminal: valid UTF-8 in one line. Control
// characters become "�"; those that reorder or hide text, and heaps of combining marks, are
// left out.
func Clean(s string) string {
	if isPlain(s) {
		return s
	}
	marks := 0
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs):
			return -1
		case unicode.IsControl(r):
			return utf8.RuneError
		case unicode.In(r, unicode.Mn, unicode.Me):
			if marks++; marks > maxMarks {
				return -1
			}
			return r
		}
		marks = 0
		return r
	}, s)
}

// isPlain reports whether s is printable ASCII.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Width returns the number of columns that a terminal shows s in, which Clean returned.
func Width(s string) int {
	if isPlain(s) {
		return len(s)
	}
	columns := 0
	for _, r := range s {
		columns += runeWidth(r)
	}
	return columns
}

func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case isWide(r):
		return 2
	}
	return 1
}

// isWide reports whether a character takes two columns (Unicode Standard Annex 11): blocks
// of East Asian scripts and emoji as a whole.
func isWide(r rune) bool {
	return r >= 0x1100 && r <= 0x115f ||
		r >= 0x2e80 && r <= 0x303e || r >= 0x3041 && r <= 0xa4cf ||
		r >= 0xa960 && r <= 0xa97f || r >= 0xac00 && r <= 0xd7a3 ||
		r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe6f ||
		r >= 0xff00 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 ||
		r >= 0x1f300 && r <= 0x1faff || r >= 0x20000 && r <= 0x3fffd
}

// Cut returns Clean(s) in at most the given number of columns; "…" ends what is cut.
func Cut(s string, columns int) string {
	s = Clean(s)
	if columns <= 0 {
		return ""
	}
	if Width(s) <= columns {
		return s
	}
	return prefix(s, columns-1) + "…"
}

// CutMiddle is Cut for endpoints: it leaves out what is in the middle, of which more than
// half of the columns come before the "…".
func CutMiddle(s string, columns int) string {
	s = Clean(s)
	if Width(s) <= columns || columns < 3 || !isPlain(s) {
		return Cut(s, columns)
	}
	tail := (columns - 1) / 2
	return s[:columns-1-tail] + "…" + s[len(s)-tail:]
}

// Pad returns Cut(s, columns) with spaces up to that width: behind it, or before it if right.
func Pad(s string, columns int, right bool) string {
	s = Cut(s, columns)
	space := strings.Repeat(" ", max(0, columns-Width(s)))
	if right {
		return space + s
	}
	return s + space
}

// Wrap breaks Clean(s) into lines of at most the given number of columns, 2 at least: between
// words, and inside a word that is longer than a line.
func Wrap(s string, columns int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(Clean(s)) {
		if line != "" && Width(line)+1+Width(word) <= columns {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for Width(word) > columns {
			part := prefix(word, columns)
			lines, word = append(lines, part), word[len(part):]
		}
		line = word
	}
	return append(lines, line)
}

// prefix returns as much of s as fits.
func prefix(s string, columns int) string {
	for i, r := range s {
		if columns -= runeWidth(r); columns < 0 {
			return s[:i]
		}
	}
	return s
}

// Package hostname makes names that devices give themselves harmless.
//
// Anything on the network chooses what its DHCP client calls itself. Names end up on
// terminals, in pages, in metrics and in spreadsheets, some of which forget to quote.
package hostname

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Most is the greatest length of what Clean and CleanText return, in characters.
const Most = 63

// longest bounds what is looked at, in bytes.
const longest = 1024

// Clean returns the name that a device gave itself, without its domain, or "" where
// nothing is left that could be a name. Addresses are no names, nor is localhost.
func Clean(raw string) string {
	raw = bound(raw)
	if isAddress(raw) {
		return ""
	}
	name := CleanText(raw)
	if label, _, found := strings.Cut(name, "."); found {
		name = strings.TrimRight(label, " ")
	}
	if isAddress(name) || !hasWord(name) || strings.EqualFold(name, "localhost") {
		return ""
	}
	return name
}

// CleanText returns a line of text without anything that a terminal, HTML, CSV or a metric's
// label could take for more than text: at most Most printable characters of valid UTF-8, no
// quotes, brackets, separators or backslashes, no spaces at the ends, nothing that begins a
// formula. It returns "" where no letter or digit is left.
func CleanText(raw string) string {
	var b strings.Builder
	length, marks, space := 0, 0, false
	for _, r := range bound(raw) {
		switch {
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		case !harmless(r) || b.Len() == 0 && !mayBegin(r):
			continue
		case !unicode.Is(unicode.Mn, r):
			marks = 0
		case marks == mostMarks:
			continue
		default:
			marks++
		}
		if space && length < Most-1 {
			b.WriteByte(' ')
			length++
		}
		if length == Most {
			break
		}
		b.WriteRune(r)
		length++
		space = false
	}
	if !hasWord(b.String()) {
		return ""
	}
	return b.String()
}

// hasWord reports whether a text has a letter or a digit.
func hasWord(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r)
	})
}

// mostMarks is how many accents a letter may carry. Vietnamese takes two.
const mostMarks = 2

// bound cuts a text that is too long, between two characters.
func bound(raw string) string {
	if len(raw) <= longest {
		return raw
	}
	end := longest
	for end > longest-utf8.UTFMax && !utf8.RuneStart(raw[end]) {
		end--
	}
	return raw[:end]
}

// harmless reports whether a character stands for itself everywhere, and can be seen.
func harmless(r rune) bool {
	switch {
	case r == utf8.RuneError, !unicode.IsPrint(r):
		return false
	case strings.ContainsRune("<>\"'&`\\|,;/{}%$", r):
		return false
	}
	return !unicode.Is(unicode.Variation_Selector, r) &&
		!unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) &&
		!unicode.Is(unicode.Me, r) && r != brailleBlank
}

// brailleBlank counts as a symbol, and looks like a space.
const brailleBlank = '\u2800'

// mayBegin reports whether a text may begin with a character: spreadsheets take some for
// the beginning of a formula, full-width ones, too, a domain is no name, and a mark needs a
// letter before it.
func mayBegin(r rune) bool {
	return !strings.ContainsRune("=+-@#.＝＋－＠−", r) && !unicode.Is(unicode.M, r)
}

// isAddress reports whether a name could be mistaken for an IP or Ethernet address.
func isAddress(s string) bool {
	if _, err := netip.ParseAddr(strings.TrimSpace(s)); err == nil {
		return true
	}
	digits := 0
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'f', r >= 'A' && r <= 'F':
			digits++
		case r != ':' && r != '-' && r != ' ':
			return false
		}
	}
	return digits == 12 && strings.ContainsAny(s, ":-")
}

package top

import "unicode/utf8"

// Key is a key of the terminal: a character, or one of the constants.
type Key rune

// Keys that are no characters, and control characters by what they mean.
const (
	KeyInterrupt Key = 0x03 // Ctrl-C
	KeyEndOfFile Key = 0x04 // Ctrl-D, end of file
	KeySuspend   Key = 0x1a // Ctrl-Z
	KeyRedraw    Key = 0x0c // Ctrl-L

	KeyUp Key = -1 - iota
	KeyDown
	KeyLeft
	KeyRight
	KeyPageUp
	KeyPageDown
	KeyHome
	KeyEnd
	KeyEnter
	KeyEscape
	KeyBackspace
	KeyUnknown
)

// maxSequence is longer than any sequence of a key.
const maxSequence = 32

// keyParser turns what a terminal sends into keys. A sequence may come in several parts.
type keyParser struct{ pending []byte }

// Feed returns the keys that are complete with these bytes.
func (p *keyParser) Feed(b []byte) (keys []Key) {
	p.pending = append(p.pending, b...)
	for len(p.pending) > 0 {
		k, n := parseKey(p.pending)
		if n == 0 { // incomplete
			if len(p.pending) <= maxSequence {
				break
			}
			k, n = KeyUnknown, len(p.pending)
		}
		keys, p.pending = append(keys, k), p.pending[n:]
	}
	return keys
}

// Waiting reports whether a sequence has begun, or the Escape key was pressed.
func (p *keyParser) Waiting() bool { return len(p.pending) > 0 }

// Flush returns the key that the bytes so far are, if nothing follows them.
func (p *keyParser) Flush() []Key {
	pending := p.pending
	p.pending = nil
	switch {
	case len(pending) == 0:
		return nil
	case len(pending) == 1 && pending[0] == 0x1b:
		return []Key{KeyEscape}
	}
	return []Key{KeyUnknown}
}

// parseKey returns the first key of b, and how many bytes it takes; 0 if it isn't complete.
func parseKey(b []byte) (k Key, n int) {
	switch b[0] {
	case '\r', '\n':
		return KeyEnter, 1
	case 0x7f, 0x08:
		return KeyBackspace, 1
	case 0x1b:
		return parseSequence(b)
	}
	if !utf8.FullRune(b) {
		return 0, 0
	}
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError {
		return KeyUnknown, n
	}
	return Key(r), n
}

// parseSequence parses ESC [ ... and ESC O ... (ECMA-48 CSI and SS3, as of VT220 and xterm).
func parseSequence(b []byte) (k Key, n int) {
	if len(b) < 2 {
		return 0, 0
	}
	if b[1] != '[' && b[1] != 'O' {
		return KeyEscape, 1
	}
	for n = 2; n < len(b); n++ {
		if c := b[n]; c >= 0x40 && c <= 0x7e { // the final byte
			return sequence(b[2:n], c), n + 1
		} else if c < 0x20 || c > 0x7e {
			return KeyUnknown, n
		}
	}
	return 0, 0
}

func sequence(parameters []byte, final byte) Key {
	switch final {
	case 'A':
		return KeyUp
	case 'B':
		return KeyDown
	case 'C':
		return KeyRight
	case 'D':
		return KeyLeft
	case 'H':
		return KeyHome
	case 'F':
		return KeyEnd
	case 'M':
		return KeyEnter // of the keypad
	case '~':
		switch string(parameters) {
		case "1", "7":
			return KeyHome
		case "4", "8":
			return KeyEnd
		case "5":
			return KeyPageUp
		case "6":
			return KeyPageDown
		}
	}
	return KeyUnknown
}

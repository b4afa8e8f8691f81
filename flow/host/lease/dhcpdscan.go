package lease

import "bytes"

// longestToken bounds what is kept of a token, in bytes.
const longestToken = 1024

type dhcpdToken struct {
	text   string
	quoted bool // it was a string
}

// dhcpdScanner splits dhcpd's files into words, strings and punctuation.
type dhcpdScanner struct {
	rest []byte
	line int
	torn bool // the file ends within a string or a word
}

// next returns the next token, or false at the end.
func (s *dhcpdScanner) next() (t dhcpdToken, ok bool) {
	s.skipBlanks()
	if len(s.rest) == 0 {
		return t, false
	}
	switch s.rest[0] {
	case '{', '}', ';':
		t.text, s.rest = string(s.rest[:1]), s.rest[1:]
		return t, true
	case '"':
		return s.quoted()
	}
	end := bytes.IndexAny(s.rest, "{};\"# \t\r\n")
	if end < 0 {
		s.torn = true
		return t, false
	}
	t.text = string(s.rest[:min(end, longestToken)])
	s.rest = s.rest[end:]
	return t, true
}

// skipBlanks skips white space and comments.
func (s *dhcpdScanner) skipBlanks() {
	for len(s.rest) > 0 {
		switch s.rest[0] {
		case '\n':
			s.line++
		case ' ', '\t', '\r':
		case '#':
			end := bytes.IndexByte(s.rest, '\n')
			if end < 0 {
				end = len(s.rest)
			}
			s.rest = s.rest[end:]
			continue
		default:
			return
		}
		s.rest = s.rest[1:]
	}
}

// quoted returns the string that begins here. In it, a backslash precedes three octal
// digits or a character that stands for itself.
func (s *dhcpdScanner) quoted() (dhcpdToken, bool) {
	var text []byte
	for i := 1; i < len(s.rest); i++ {
		c := s.rest[i]
		switch c {
		case '"':
			s.rest = s.rest[i+1:]
			return dhcpdToken{string(text), true}, true
		case '\n':
			s.line++
		case '\\':
			if n, ok := octal(s.rest[i+1:]); ok {
				c = n
				i += 3
			} else if i++; i < len(s.rest) {
				c = s.rest[i]
			}
		}
		if len(text) < longestToken {
			text = append(text, c)
		}
	}
	s.torn, s.rest = true, nil
	return dhcpdToken{}, false
}

// octal returns the byte that three octal digits stand for.
func octal(b []byte) (n byte, ok bool) {
	if len(b) < 3 {
		return 0, false
	}
	for _, digit := range b[:3] {
		if digit < '0' || digit > '7' {
			return 0, false
		}
		n = n<<3 | (digit - '0')
	}
	return n, true
}

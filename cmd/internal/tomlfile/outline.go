package tomlfile

import (
	"fmt"
	"strings"
)

// The library recurses for each bracket, and walks down from the root for each part of a
// dotted key.
const (
	maxDepth = 16
	maxDots  = 16
)

// mark is where something begins in a file.
type mark struct {
	kind  markKind
	line  int
	depth int // open brackets around it
}

type markKind uint8

const (
	header      markKind = iota // [table]
	arrayHeader                 // [[table]]
	keyValue                    // a line of its own, or in an inline table
	element                     // of a list
)

// outliner finds the marks of a file in one pass, whatever its values are.
type outliner struct {
	marks   []mark
	line    int
	open    []byte // brackets
	dots    int    // in the current key
	next    bool   // an element of a list is next
	keyed   bool   // the statement, outside of brackets, has its "="
	headed  bool   // the statement is a header
	tooDeep error
}

// outline returns all marks, in their order. Text that is no TOML has some, too.
func outline(text string) ([]mark, error) {
	o := outliner{line: 1}
	for len(text) > 0 && o.tooDeep == nil {
		n := width(text)
		o.token(text[:n], strings.HasPrefix(text, "[["))
		o.line += strings.Count(text[:n], "\n")
		text = text[n:]
	}
	return o.marks, o.tooDeep
}

// token takes what width has cut off.
func (o *outliner) token(token string, double bool) {
	c := token[0]
	if o.next && !strings.ContainsRune(" \t\r\n#]", rune(c)) {
		o.next = false
		o.mark(element)
	}
	switch c {
	case '\n':
		if o.dots = 0; len(o.open) == 0 {
			o.keyed, o.headed = false, false
		}
	case '.':
		o.dots++
	case '=':
		o.dots, o.keyed = 0, true
		o.mark(keyValue)
	case ',':
		o.dots = 0
		o.next = len(o.open) > 0 && o.open[len(o.open)-1] == '['
	case '[', '{':
		o.opening(c, double)
	case ']', '}':
		o.next = false
		o.open = o.open[:max(0, len(o.open)-1)]
	}
	if len(o.open) > maxDepth || o.dots > maxDots {
		o.tooDeep = &nestedError{o.line}
	}
}

// opening takes a bracket that opens.
func (o *outliner) opening(c byte, double bool) {
	switch {
	case o.headed:
	case o.keyed:
		o.open, o.dots, o.next = append(o.open, c), 0, c == '['
	default:
		o.headed = true
		if o.mark(header); double {
			o.marks[len(o.marks)-1].kind = arrayHeader
		}
	}
}

func (o *outliner) mark(kind markKind) {
	o.marks = append(o.marks, mark{kind, o.line, len(o.open)})
}

// width returns the length of the string or comment that text begins with, else 1.
func width(text string) int {
	switch text[0] {
	case '#':
		if end := strings.IndexByte(text, '\n'); end >= 0 {
			return end
		}
		return len(text)
	case '"', '\'':
		if quote := strings.Repeat(text[:1], 3); strings.HasPrefix(text, quote) {
			return quoted(text, quote)
		}
		return quoted(text, text[:1])
	}
	return 1
}

// quoted returns the length of a string that may go over several lines only between triple
// quotes, before the last of which two of its own may stand.
func quoted(text, quote string) int {
	for i := len(quote); i < len(text); i++ {
		switch {
		case text[i] == '\\' && quote[0] == '"':
			i++
		case text[i] == '\n' && len(quote) == 1:
			return i
		case strings.HasPrefix(text[i:], quote):
			for i += len(quote); len(quote) > 1 && i < len(text) && text[i] == quote[0]; {
				i++
			}
			return i
		}
	}
	return len(text)
}

// nestedError is about what is a danger to the library.
type nestedError struct{ line int }

func (e *nestedError) Error() string {
	return fmt.Sprintf("nested deeper than %d levels", maxDepth)
}

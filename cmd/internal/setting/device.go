package setting

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Owners checks the [[device]] tables of a file: no two have the same name or address.
type Owners struct{ names, addresses map[string]int }

// Check checks table i, from 0 on. It calls wrong with the key, and with what is allowed.
func (o *Owners) Check(i int, name string, macs []MAC, ips []IP, wrong func(key, text string)) {
	if o.names == nil {
		o.names, o.addresses = map[string]int{}, map[string]int{}
	}
	taken := func(all map[string]int, word string) (text string) {
		if first, known := all[word]; known {
			text = fmt.Sprintf("%s is that of #%d already", word, first+1)
		}
		all[word] = i
		return text
	}
	switch text := taken(o.names, name); {
	case name == "":
		wrong("name", "is missing")
	case !isName(name):
		wrong("name", "want letters, digits, spaces and any of - _ .")
	case text != "":
		wrong("name", text)
	}
	for _, mac := range macs {
		if text := taken(o.addresses, mac.String()); text != "" {
			wrong("mac", text)
		}
	}
	for _, ip := range ips {
		if text := taken(o.addresses, ip.String()); text != "" {
			wrong("address", text)
		}
	}
	if len(macs)+len(ips) == 0 {
		wrong("mac", "is missing: want mac or address")
	}
}

// maxName bounds a device's name, in bytes: that of a DNS label.
const maxName = 63

// isName reports whether a device may have a name, which is shown on terminals, in pages and
// in tables.
func isName(s string) bool {
	strange := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" -_.", r)
	}
	return len(s) <= maxName && utf8.ValidString(s) && strings.TrimSpace(s) == s &&
		!strings.HasPrefix(s, "-") && !strings.ContainsFunc(s, strange)
}

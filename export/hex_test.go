package export

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
)

// readHex reads a file of hexadecimal octets; # begins a comment.
func readHex(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		code, _, _ := strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(code), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return b
}

// hexDump writes such a file, with a line for each thing in a message.
type hexDump struct {
	strings.Builder
	rest []byte
}

// take writes the next n octets in words of two.
func (d *hexDump) take(n int, format string, a ...any) []byte {
	b := d.rest[:n]
	d.rest = d.rest[n:]
	var code strings.Builder
	for i := range b {
		if i > 0 && i%2 == 0 {
			code.WriteByte(' ')
		}
		fmt.Fprintf(&code, "%02x", b[i])
	}
	fmt.Fprintf(d, "%-40s # %s\n", code.String(), fmt.Sprintf(format, a...))
	return b
}

func (d *hexDump) heading(format string, a ...any) {
	fmt.Fprintf(d, "\n# "+format+"\n", a...)
}

// dumpMessage describes a message that the Encoder made.
func dumpMessage(p Protocol, b []byte) string {
	d := &hexDump{rest: b}
	fmt.Fprintf(d, "# %s, written by go test -update\n", p)
	d.header(p)
	for len(d.rest) > 0 {
		d.set(p)
	}
	return d.String()
}

func (d *hexDump) header(p Protocol) {
	d.heading("message header")
	d.take(2, "version")
	if p == NetFlow9 {
		d.take(2, "count of records")
		d.take(4, "sysUptime, ms")
		d.take(4, "seconds since 1970")
	} else {
		d.take(2, "length")
		d.take(4, "export time, seconds since 1970")
	}
	d.take(4, "sequence")
	d.take(4, "domain")
}

func (d *hexDump) set(p Protocol) {
	id, length := be.Uint16(d.rest), be.Uint16(d.rest[2:])
	d.heading("set %d", id)
	end := len(d.rest) - int(length)
	d.take(2, "set id")
	d.take(2, "length")
	switch id {
	case p.templateSet():
		for len(d.rest) > end {
			d.template(p)
		}
	case p.optionsTemplateSet():
		d.optionsTemplate(p)
	case samplingOption:
		d.take(4, "scope: %s", sampling(p).scope[0].name)
		d.take(4, "%s", sampling(p).about[0].name)
	default:
		d.record(&templates(p)[id-firstTemplate])
	}
	if n := len(d.rest) - end; n > 0 {
		d.take(n, "padding")
	}
}

func (d *hexDump) template(p Protocol) {
	id := be.Uint16(d.take(2, "template id"))
	d.take(2, "fields")
	for _, f := range templates(p)[id-firstTemplate].fields {
		d.take(4, "element %d, %d octets: %s", be.Uint16(d.rest), be.Uint16(d.rest[2:]), f.name)
	}
}

func (d *hexDump) optionsTemplate(p Protocol) {
	d.take(2, "options template id")
	if p == NetFlow9 {
		d.take(2, "scope length")
		d.take(2, "option length")
	} else {
		d.take(2, "fields")
		d.take(2, "of them scopes")
	}
	d.take(4, "scope %d, %d octets", be.Uint16(d.rest), be.Uint16(d.rest[2:]))
	d.take(4, "element %d, %d octets: %s", be.Uint16(d.rest), be.Uint16(d.rest[2:]), sampling(p).about[0].name)
}

func (d *hexDump) record(t *template) {
	for _, f := range t.fields {
		d.take(int(f.size), "%d %s", f.id, f.name)
	}
}

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

// hexDump writes such a file, with a line for each part of a message.
type hexDump struct {
	strings.Builder
	rest  []byte
	known map[uint16]template
}

// take writes the next n octets in pairs.
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
func dumpMessage(p Protocol, o RecordOptions, b []byte) string {
	d := &hexDump{rest: b, known: map[uint16]template{}}
	for _, t := range append(templates(p, o), natTemplates(p)...) {
		d.known[t.id] = t
	}
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
	case p.templateSetID():
		for len(d.rest) > end {
			d.template()
		}
	case p.optionsTemplateSetID():
		d.optionsTemplate(p)
	case samplingOption, interfaceOption, statisticsOption:
		o := options(p)[id-samplingOption]
		for i, f := range o.fields {
			scope := ""
			if i < o.scopes {
				scope = "scope: "
			}
			d.take(int(f.size), "%s%s", scope, f.name)
		}
	default:
		d.record(id)
	}
	if n := len(d.rest) - end; n > 0 {
		d.take(n, "padding")
	}
}

func (d *hexDump) template() {
	id := be.Uint16(d.take(2, "template id"))
	d.take(2, "fields")
	for _, f := range d.known[id].fields {
		d.take(4, "element %d, %d octets: %s", be.Uint16(d.rest)&^enterpriseBit,
			be.Uint16(d.rest[2:]), f.name)
		if f.id&enterpriseBit != 0 {
			d.take(4, "enterprise %d", be.Uint32(d.rest))
		}
	}
	for _, f := range d.known[id].reverse {
		d.take(4, "reverse element %d, %d octets: %s", be.Uint16(d.rest)&^enterpriseBit,
			be.Uint16(d.rest[2:]), f.name)
		d.take(4, "enterprise %d", be.Uint32(d.rest))
	}
}

func (d *hexDump) optionsTemplate(p Protocol) {
	id := be.Uint16(d.take(2, "options template id"))
	if p == NetFlow9 {
		d.take(2, "scope length")
		d.take(2, "option length")
	} else {
		d.take(2, "fields")
		d.take(2, "of them scopes")
	}
	o := options(p)[id-samplingOption]
	for range o.scopes {
		d.take(4, "scope %d, %d octets", be.Uint16(d.rest), be.Uint16(d.rest[2:]))
	}
	for _, f := range o.fields[o.scopes:] {
		d.take(4, "element %d, %d octets: %s", be.Uint16(d.rest), be.Uint16(d.rest[2:]), f.name)
	}
}

func (d *hexDump) record(id uint16) {
	for _, f := range d.known[id].fields {
		d.take(int(f.size), "%d %s", f.id&^enterpriseBit, f.name)
	}
	for _, f := range d.known[id].reverse {
		d.take(int(f.size), "reverse %d %s", f.id, f.name)
	}
}

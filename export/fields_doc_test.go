package export

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

//go:generate go test -run ^TestFieldsDoc$ -update .

var fieldsDoc = filepath.Join("..", "docs", "fields.md")

// TestFieldsDoc compares docs/fields.md with the fields.
func TestFieldsDoc(t *testing.T) {
	got := describeFields()
	if *update {
		if err := os.MkdirAll(filepath.Dir(fieldsDoc), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(fieldsDoc, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(fieldsDoc)
	if err != nil || string(text) != got {
		t.Errorf("%s isn't current (%v): run go generate ./export", fieldsDoc, err)
	}
}

// meanings describes what the names of elements don't.
var meanings = map[uint16]string{
	8: "of this direction", 12: "of this direction", 27: "of this direction",
	28: "of this direction",
	7:  "0 for protocols without ports, and for ICMP",
	11: "the same; for ICMP type × 256 + code",
	4:  "6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6 ...",
	6:  "derived from the connection's state; 0 unless TCP",
	5: "of the packet that began the connection, as it left, where eBPF saw it; else, and in " +
		"the other direction, 0",
	61: "1 where it leaves by an uplink, the interface of a default route, else 0",
	10: "ifIndex by which it comes in, 0 for the router itself; seen or inferred, see " +
		"[interfaces.md](interfaces.md)",
	14:  "ifIndex by which it leaves, the same",
	1:   "since the last record of this flow; layer 3, IP header included",
	2:   "since the last record of this flow",
	22:  "ms, see below",
	21:  "ms, see below",
	152: "ms since 1970",
	153: "ms since 1970",
	136: "1 idle, 2 active timeout, 3 end seen (FIN, RST), 4 deleted or conntally stops, 5 table " +
		"full",
	32:  "type × 256 + code",
	139: "type × 256 + code",
	225: "as it leaves the router", 226: "as it leaves the router", 227: "as it leaves the router",
	228: "as it leaves the router",
	281: "as it leaves the router", 282: "as it leaves the router",
}

// optionMeanings describes the elements of option data.
var optionMeanings = map[uint16]string{
	34:  "1: every packet is counted",
	10:  "the ifIndex that is named",
	82:  "UTF-8, the last octet NUL",
	83:  "its alias (`ip link set alias`), else kind and first address; UTF-8, the last octet NUL",
	40:  "UDP payload sent to this collector since conntally started",
	41:  "datagrams, the same",
	42:  "flow records, the same; option data not included",
	166: "flow records that could not be sent",
	167: "packets that those counted",
	168: "octets that those counted",
}

const fieldsIntro = `# What conntally exports

<!-- Made from the field table by go generate ./export. Don't edit. -->

A flow has two records, one for each direction, whenever it has moved something. Which template a
record uses follows from the connection. All numbers are unsigned. Elements have the ids of the
IANA registry of IPFIX information elements; NetFlow v9 has the same ids.

## Templates

| template | for | IPFIX octets | v9 octets | elements in order, IPFIX | NetFlow v9 |
|---|---|---|---|---|---|
`

const fieldsElements = `
## Elements

| id | name | octets | IPFIX | v9 | |
|---|---|---|---|---|---|
`

const fieldsOptions = `
## Options

Sent with the templates, by default every minute; 513, one record per interface, also when
interfaces change.

| template | scope, IPFIX | scope, v9 | element | octets | value |
|---|---|---|---|---|---|
`

const fieldsTimes = `
## Times

IPFIX has them exact to the millisecond. NetFlow v9 counts them from the exporter's start, in the
header's sysUptime. conntally chooses a virtual start, so that no counter wraps, and moves it at
times: compute it from each header, as unix seconds × 1000 − sysUptime. The header's seconds are
rounded up.
`

func describeFields() string {
	var b strings.Builder
	b.WriteString(fieldsIntro)
	describeTemplates(&b)
	b.WriteString(fieldsElements)
	describeElements(&b)
	b.WriteString(fieldsOptions)
	describeOptions(&b)
	describeOptional(&b)
	b.WriteString(fieldsTimes)
	return b.String()
}

func describeTemplates(b *strings.Builder) {
	v9 := templates(NetFlow9, RecordOptions{})
	for i, t := range templates(IPFIX, RecordOptions{}) {
		others := difference(v9[i].fields, t.fields)
		fmt.Fprintf(b, "| %d | %s | %d | %d | %s | %s |\n",
			t.id, purpose(i), t.size, v9[i].size, ids(t.fields), others)
	}
}

func purpose(kind int) string {
	words := []string{"IPv4"}
	if kind&v6Bit != 0 {
		words[0] = "IPv6"
	}
	if kind&icmpBit != 0 {
		words[0] += " ICMP"
	}
	if kind&translatedBit != 0 {
		words = append(words, "translated (NAT)")
	}
	return strings.Join(words, ", ")
}

func ids(fields []field) string {
	var all []string
	for _, f := range fields {
		all = append(all, fmt.Sprint(f.id))
	}
	return strings.Join(all, " ")
}

// difference names the elements that v9 has instead of IPFIX's.
func difference(v9, ipfix []field) string {
	var all []string
	for i := range v9 {
		if v9[i].id != ipfix[i].id {
			all = append(all, fmt.Sprintf("%d for %d", v9[i].id, ipfix[i].id))
		}
	}
	return strings.Join(all, ", ")
}

// describeElements writes a row for each element of each protocol, in order of ids.
func describeElements(b *strings.Builder) {
	in := make(map[element]map[Protocol]bool)
	for _, p := range protocols {
		for _, f := range slices.Concat(fieldsOf(p)...) {
			if in[f.element] == nil {
				in[f.element] = make(map[Protocol]bool)
			}
			in[f.element][p] = true
		}
	}
	byID := func(a, b element) int { return cmp.Compare(a.id, b.id) }
	for _, e := range slices.SortedFunc(maps.Keys(in), byID) {
		fmt.Fprintf(b, "| %d | %s | %d | %s | %s | %s |\n",
			e.id, e.name, e.size, mark(in[e][IPFIX]), mark(in[e][NetFlow9]), meanings[e.id])
	}
}

func mark(has bool) string {
	if has {
		return "yes"
	}
	return ""
}

func describeOptions(b *strings.Builder) {
	ipfix := options(IPFIX)
	for i, o := range options(NetFlow9) {
		for _, f := range o.fields[o.scopes:] {
			fmt.Fprintf(b, "| %d | %s | %s | %d %s | %d | %s |\n",
				o.id, scopeOf(ipfix[i]), scopeOf(o), f.id, f.name, f.size, optionMeanings[f.id])
		}
	}
}

func scopeOf(o option) string {
	var elements []string
	for _, e := range o.fields[:o.scopes] {
		elements = append(elements, fmt.Sprintf("%d %s, %d octets", e.id, e.name, e.size))
	}
	return strings.Join(elements, "; ")
}

// TestMeanings proves that each element has a meaning, and each meaning an element.
func TestMeanings(t *testing.T) {
	used := make(map[uint16]bool)
	for _, p := range protocols {
		for _, f := range slices.Concat(fieldsOf(p)...) {
			used[f.id] = true
			if _, ok := meanings[f.id]; !ok {
				t.Errorf("element %d %s has no meaning", f.id, f.name)
			}
		}
	}
	for id := range meanings {
		if !used[id] {
			t.Errorf("element %d isn't exported any more", id)
		}
	}
	described := 0
	for _, o := range options(NetFlow9) {
		for _, f := range o.fields[o.scopes:] {
			described++
			if optionMeanings[f.id] == "" {
				t.Errorf("option element %d %s has no meaning", f.id, f.name)
			}
		}
	}
	if described != len(optionMeanings) {
		t.Errorf("%d option elements, %d meanings", described, len(optionMeanings))
	}
}

func fieldsOf(p Protocol) (all [][]field) {
	for _, t := range templates(p, RecordOptions{}) {
		all = append(all, t.fields)
	}
	return all
}

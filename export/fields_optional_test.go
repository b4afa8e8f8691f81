package export

import (
	"fmt"
	"strings"
	"testing"
)

const fieldsOptional = `
## Where asked for

None of this is exported unless the configuration asks for it. Extra fields stand at the end of
each flow record, in this order:

| extra_fields | id | name | octets | IPFIX | v9 | |
|---|---|---|---|---|---|---|
`

const fieldsBiflow = `
With ` + "`biflow = true`" + ` an IPFIX record is of both directions (RFC 5103): its source is the
host that opened the connection, as far as that is known, and what differs by direction follows
once more, as elements of the enterprise 29305. One direction may have moved nothing. Interfaces,
VLANs and zones of the reverse direction are the other way round. NetFlow v9 keeps two records.

| template | for | octets | elements in order | reverse elements |
|---|---|---|---|---|
`

const fieldsNAT = `
With ` + "`nat_events = true`" + ` a record says that a translation began, another that it ended
(RFC 8158). It counts nothing. The kernel reports ends alone to conntally, so a begin is reported
when conntally first sees the connection, with the time of its start: at the next poll, or with its
end. After a restart without a state directory, begins are reported again.

| template | for | IPFIX octets | v9 octets | elements in order, IPFIX | NetFlow v9 |
|---|---|---|---|---|---|
`

const fieldsNATElements = `
| id | name | octets | |
|---|---|---|---|
`

// optionalMeanings describes what the names of optional elements don't.
var optionalMeanings = map[uint16]string{
	148: "the same in all records of a connection: conntrack's id in the upper half, part of the " +
		"start in the lower",
	58:  "of the interface by which it comes, where that is a VLAN; else 0",
	59:  "of the interface by which it leaves",
	56:  "of the sender, where it is a neighbour of the router; else 0",
	57:  "of the receiver, as its packets leave the router, where it is a neighbour; else 0",
	234: "the conntrack zone of this direction's packets; 0: none",
	235: "the conntrack zone of what comes back",
	pmacctTag: "conntrack's mark, as it was last read; the same in both directions. The IANA " +
		"registry has no element for it: this one is of enterprise 43874, pmacct",
	239: "1: the source opened the connection; 0: not known, " +
		"see [records.md](records.md#tcp-flags)",
	323: "ms since 1970: when it began or ended",
	230: "4 NAT44 session create, 5 delete; between IPv6 addresses 1 create, 2 delete",
}

// describeOptional describes records and fields that are exported only on request.
func describeOptional(b *strings.Builder) {
	b.WriteString(fieldsOptional)
	for _, extra := range []struct {
		key string
		o   RecordOptions
	}{
		{"flow_id", RecordOptions{FlowID: true}},
		{"vlan", RecordOptions{VLAN: true}},
		{"mac", RecordOptions{MAC: true}},
		{"zone", RecordOptions{Zone: true}},
		{"mark", RecordOptions{Mark: true}},
	} {
		for _, f := range extra.o.fields() {
			v9 := mark(len(extra.o.supportedBy(NetFlow9).fields()) > 0)
			fmt.Fprintf(b, "| %s | %d | %s | %d | yes | %s | %s |\n",
				extra.key, f.id&^enterpriseBit, f.name, f.size, v9, optionalMeanings[f.id])
		}
	}
	b.WriteString(fieldsBiflow)
	for kind, t := range templates(IPFIX, RecordOptions{Biflow: true}) {
		fmt.Fprintf(b, "| %d | %s | %d | %s | %s |\n",
			t.id, purpose(kind), t.size, ids(t.fields), ids(t.reverse))
	}
	b.WriteString(fieldsNAT)
	v9 := natTemplates(NetFlow9)
	for i, t := range natTemplates(IPFIX) {
		fmt.Fprintf(b, "| %d | %s | %d | %d | %s | %s |\n",
			t.id, []string{"IPv4", "IPv6"}[i], t.size, v9[i].size,
			ids(t.fields), difference(v9[i].fields, t.fields))
	}
	b.WriteString(fieldsNATElements)
	for _, f := range optionalRows() {
		fmt.Fprintf(b, "| %d | %s | %d | %s |\n", f.id, f.name, f.size, optionalMeanings[f.id])
	}
}

// optionalRows returns the elements of biflows and NAT events that no other record has.
func optionalRows() []field {
	biflow := templates(IPFIX, RecordOptions{Biflow: true})[0]
	return append(eventFields(), biflow.fields[len(biflow.fields)-1])
}

// TestOptionalMeanings proves that each optional element has a meaning.
func TestOptionalMeanings(t *testing.T) {
	all := append(optionalRows(), everything().fields()...)
	for _, f := range all {
		if optionalMeanings[f.id] == "" {
			t.Errorf("element %d %s has no meaning", f.id, f.name)
		}
	}
	if len(optionalMeanings) != len(all) {
		t.Errorf("%d meanings of %d elements", len(optionalMeanings), len(all))
	}
}

package export

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/calmh/ipfix"
	"github.com/netsampler/goflow2/v2/decoders/netflow"

	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow"
)

// value is a field of a data record as a decoder found it.
type value struct {
	id      uint16
	reverse bool   // of the other direction
	name    string // "" where the decoder has none
	bytes   []byte
}

// checkDecoders gives templates and a message with the sample record to every decoder that reads
// p.
func checkDecoders(t *testing.T, p Protocol, kind int, first, data []byte) {
	t.Helper()
	both := flow.Pair{sample(kind, present)}
	checkOthers(t, p, &both, &templates(p, RecordOptions{})[kind], first, data)
	got := decodeAll(t, [][]byte{first, data})[1].Flows
	if want := wantFlow(p, goldenDomain, &both[0]); len(got) != 1 || got[0] != want {
		t.Errorf("we read\n     %+v\nwant %+v", got, want)
	}
}

// checkOthers compares what other decoders find with a pair.
func checkOthers(t *testing.T, p Protocol, both *flow.Pair, of *template, first, data []byte) {
	t.Helper()
	boot := virtualBoot(t, data)
	checkValues(t, "goflow2", goflowValues(t, first, data), both, boot, of)
	if p == IPFIX {
		checkValues(t, "calmh/ipfix", calmhValues(t, first, data), both, boot, of)
	}
}

// goflowValues reads the one record in data with goflow2.
func goflowValues(t *testing.T, first, data []byte) (found []value) {
	t.Helper()
	known := netflow.CreateTemplateSystem()
	goflowSets(t, known, first)
	sets := goflowSets(t, known, data)
	set, ok := sets[0].(netflow.DataFlowSet)
	if len(sets) != 1 || !ok || len(set.Records) != 1 {
		t.Fatalf("goflow2 finds %+v", sets)
	}
	for _, f := range set.Records[0].Values {
		pen := uint32(0)
		if f.PenProvided {
			pen = f.Pen
		}
		found = append(found, value{
			id: withEnterprise(f.Type, pen), reverse: pen == reversePEN, bytes: f.Value.([]byte),
		})
	}
	return found
}

// withEnterprise returns the id of an element of an enterprise as our fields have it.
func withEnterprise(id uint16, enterprise uint32) uint16 {
	if enterprise == pmacctPEN {
		id |= enterpriseBit
	}
	return id
}

func goflowSets(t *testing.T, known netflow.NetFlowTemplateSystem, message []byte) []any {
	t.Helper()
	var v9 netflow.NFv9Packet
	var v10 netflow.IPFIXPacket
	if err := netflow.DecodeMessageVersion(bytes.NewBuffer(message), known, &v9, &v10); err != nil {
		t.Fatalf("goflow2: %v", err)
	}
	return append(v9.FlowSets, v10.FlowSets...)
}

// goflowOption reads scope and value of the option record among templates.
func goflowOption(t *testing.T, first []byte) (scope, rate uint32) {
	t.Helper()
	for _, s := range goflowSets(t, netflow.CreateTemplateSystem(), first) {
		if set, ok := s.(netflow.OptionsDataFlowSet); ok {
			r := set.Records[0]
			return be.Uint32(r.ScopesValues[0].Value.([]byte)),
				be.Uint32(r.OptionsValues[0].Value.([]byte))
		}
	}
	t.Fatal("goflow2 finds no option record")
	return 0, 0
}

// calmhValues reads the one record in data with calmh/ipfix.
func calmhValues(t *testing.T, first, data []byte) (found []value) {
	t.Helper()
	s := ipfix.NewSession()
	if _, err := s.ParseBuffer(first); err != nil {
		t.Fatalf("calmh/ipfix: %v", err)
	}
	m, err := s.ParseBuffer(data)
	if err != nil || len(m.DataRecords) != 1 {
		t.Fatalf("calmh/ipfix finds %+v, %v", m, err)
	}
	for i, f := range ipfix.NewInterpreter(s).Interpret(m.DataRecords[0]) {
		reverse := f.EnterpriseID == reversePEN
		id := withEnterprise(f.FieldID, f.EnterpriseID)
		found = append(found, value{id, reverse, f.Name, m.DataRecords[0].Fields[i]})
	}
	return found
}

var exporterAddress = netip.MustParseAddrPort("192.0.2.1:40000")

// decodeAll reads messages with package decode, which must find no error and no gap.
func decodeAll(t testing.TB, messages [][]byte) []decode.Message {
	t.Helper()
	d := decode.New(decode.Options{})
	all := make([]decode.Message, len(messages))
	for i, b := range messages {
		m, err := d.Decode(b, exporterAddress)
		if err != nil || m.Missed != 0 || m.Late {
			t.Fatalf("message %d of %d octets: %v, missed %d, late %t",
				i, len(b), err, m.Missed, m.Late)
		}
		all[i] = m
	}
	return all
}

// flowsIn returns the flows of messages in order.
func flowsIn(t testing.TB, messages [][]byte) (flows []decode.Flow) {
	t.Helper()
	for _, m := range decodeAll(t, messages) {
		flows = append(flows, m.Flows...)
	}
	return flows
}

// goflowInterface reads the one option record in data with goflow2.
func goflowInterface(
	t *testing.T, first, data []byte,
) (scope, index uint32, name, description string) {
	t.Helper()
	known := netflow.CreateTemplateSystem()
	goflowSets(t, known, first)
	set, ok := goflowSets(t, known, data)[0].(netflow.OptionsDataFlowSet)
	if !ok || len(set.Records) != 1 {
		t.Fatalf("goflow2 finds %+v", set)
	}
	r := set.Records[0]
	of := map[uint16]string{}
	for _, f := range append(r.ScopesValues[1:], r.OptionsValues...) {
		of[f.Type] = string(bytes.TrimRight(f.Value.([]byte), "\x00"))
	}
	return be.Uint32(r.ScopesValues[0].Value.([]byte)),
		be.Uint32(r.OptionsValues[0].Value.([]byte)), of[82], of[83]
}

// Package print writes flows for people to read, or as JSON.
//
//	decode.Message -> Printer -> a line for each flow
//	flow.Pair -> Sink -> Printer
package print

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/conntally/conntally/export/decode"
)

// Printer prints each flow or NAT event as a line, and a header before the first.
type Printer struct {
	out    io.Writer
	json   *json.Encoder // nil: columns
	header bool          // has been printed
}

// New returns a Printer that writes columns or JSON objects. It ignores errors of out: a
// caller that needs them wraps out.
func New(out io.Writer, asJSON bool) *Printer {
	p := &Printer{out: out}
	if asJSON {
		p.json = json.NewEncoder(out)
	}
	return p
}

// Message prints the flows and NAT events of a message.
func (p *Printer) Message(m *decode.Message) {
	for i := range m.Flows {
		p.flow(&m.Flows[i])
	}
	for i := range m.NATEvents {
		p.natEvent(m, &m.NATEvents[i])
	}
}

func (p *Printer) flow(f *decode.Flow) {
	if p.json != nil {
		_ = p.json.Encode(newJSONFlow(f)) // see New
		return
	}
	p.columns(Columns(f))
}

func (p *Printer) natEvent(m *decode.Message, e *decode.NATEvent) {
	if p.json != nil {
		_ = p.json.Encode(newJSONNATEvent(m.Exporter, e))
		return
	}
	p.columns(natColumns(e))
}

func (p *Printer) columns(values []any) {
	if !p.header {
		fmt.Fprintf(p.out, line, Header()...)
		p.header = true
	}
	fmt.Fprintf(p.out, line, values...)
}

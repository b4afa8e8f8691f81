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

// Printer prints flows, each as a line, and their header before the first.
type Printer struct {
	out    io.Writer
	json   *json.Encoder // nil: columns
	header bool          // is printed
}

// New returns a Printer that writes columns, or JSON objects. Whoever wants to know of
// errors asks out.
func New(out io.Writer, asJSON bool) *Printer {
	p := &Printer{out: out}
	if asJSON {
		p.json = json.NewEncoder(out)
	}
	return p
}

// Message prints what a message has.
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
		_ = p.json.Encode(newJSONFlow(f)) // out knows of errors
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

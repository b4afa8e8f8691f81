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
	out     io.Writer
	options Options
	json    *json.Encoder // nil: columns
	header  bool          // has been printed
	width   int           // columns of the terminal when the header was last printed
}

// Options choose what a Printer writes: JSON objects, lines that fit a terminal, or else
// columns.
type Options struct {
	JSON bool
	// Columns returns the width of the terminal; nil where there is none.
	Columns func() int
	// Interface returns the name of an interface by its index, "" if it has none. It is for
	// terminals.
	Interface func(index uint32) string
}

// New returns a Printer that writes columns or JSON objects. It ignores errors of out: a
// caller that needs them wraps out.
func New(out io.Writer, asJSON bool) *Printer { return newPrinter(out, Options{JSON: asJSON}) }

func newPrinter(out io.Writer, o Options) *Printer {
	p := &Printer{out: out, options: o}
	if o.JSON {
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
	switch {
	case p.json != nil:
		_ = p.json.Encode(newJSONFlow(f)) // see New
	case p.options.Columns != nil:
		p.terminalFlow(f)
	default:
		p.columns(Columns(f))
	}
}

func (p *Printer) natEvent(m *decode.Message, e *decode.NATEvent) {
	switch {
	case p.json != nil:
		_ = p.json.Encode(newJSONNATEvent(m.Exporter, e))
	case p.options.Columns != nil:
		p.terminalNATEvent(e)
	default:
		p.columns(natColumns(e))
	}
}

func (p *Printer) columns(values []any) {
	if !p.header {
		fmt.Fprintf(p.out, line, Header()...)
		p.header = true
	}
	fmt.Fprintf(p.out, line, values...)
}

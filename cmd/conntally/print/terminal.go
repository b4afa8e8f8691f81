package print

import (
	"strconv"

	"github.com/conntally/conntally/cmd/internal/text"
	"github.com/conntally/conntally/export/decode"
)

// terminalColumns are the columns of a flow on a terminal. 80 columns have room for the first
// ones, a wider terminal for the others. Their widths don't depend on the flows.
func terminalColumns() []text.Column {
	return []text.Column{
		{Head: "START", Least: 8}, {Head: "PROTO", Least: 5},
		{Head: "FROM", Flexible: true, Middle: true, Comfort: 18},
		{Head: "TO", Flexible: true, Middle: true, Comfort: 18},
		{Head: "BYTES", Right: true, Least: 8},
		{Head: "INTERFACES", Flexible: true, Comfort: 11, Optional: 1},
		{Head: "TIME", Right: true, Least: 7, Optional: 2},
		{Head: "END", Least: 9, Optional: 3},
		{Head: "NAT", Flexible: true, Middle: true, Comfort: 21, Optional: 4},
	}
}

// terminalFlow prints a flow for a terminal.
func (p *Printer) terminalFlow(f *decode.Flow) {
	p.terminalRow(
		clock(f.Start), text.Cut(Protocol(f.Protocol), 5),
		endpoint(f.Src, f.SrcPort), endpoint(f.Dst, f.DstPort), text.Bytes(f.Bytes),
		p.interfaces(f),
		span(f), endReason(f.EndReason), translation(f))
}

// terminalNATEvent prints a NAT event for a terminal.
func (p *Printer) terminalNATEvent(e *decode.NATEvent) {
	c := natColumns(e)
	what := c[4].(string) // such as "as 198.51.100.1:60000"
	p.terminalRow(clock(e.Observed), text.Cut(Protocol(e.Protocol), 5),
		endpoint(e.Src, e.SrcPort), what, "", natEvent(e.Event), "", "", "")
}

// terminalRow prints a row, and the head before the first one and after a change of the
// terminal's size.
func (p *Printer) terminalRow(values ...string) {
	t := &text.Table{Columns: terminalColumns(), Fill: true}
	t.Add(values...)
	columns := p.options.Columns()
	lines := t.Lines(columns)
	if columns == p.width {
		lines = lines[1:]
	}
	p.width = columns
	for _, line := range lines {
		_, _ = p.out.Write([]byte(line + "\n")) // see New
	}
}

// interfaces returns the interfaces that a flow passes.
func (p *Printer) interfaces(f *decode.Flow) string {
	if f.Input == 0 && f.Output == 0 {
		return "-"
	}
	return p.interfaceName(f.Input) + " > " + p.interfaceName(f.Output)
}

// interfaceName returns the name of an interface; "-" for the router itself, or if unknown.
func (p *Printer) interfaceName(index uint32) string {
	if index == 0 {
		return "-"
	}
	if name := p.options.Interface(index); name != "" {
		return name
	}
	return strconv.FormatUint(uint64(index), 10)
}

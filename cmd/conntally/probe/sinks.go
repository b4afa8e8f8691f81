package probe

import (
	"context"
	"io"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally/print"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// printTo prints flows to out while there is no collector.
func (p *Probe) printTo(out io.Writer) {
	o := p.options.Form
	o.Interface = p.routes.Name
	p.printer = print.NewSink(out, o)
	p.chooseSinks()
}

// chooseSinks sets the sinks: the exporter, and the printer while there is no collector.
func (p *Probe) chooseSinks() {
	p.sinks = flow.Sinks{p.exporter}
	p.table.SetSink(p.exporter)
	if p.printer != nil && len(p.config.Collectors) == 0 {
		p.sinks = append(p.sinks, p.printer)
		p.table.SetSink(p.sinks)
	}
}

// tickSinks does the sinks' work that is due at now.
func (p *Probe) tickSinks(ctx context.Context, now conntrack.Timestamp) {
	p.exporter.Tick(ctx, now)
	if p.printer != nil && p.printer.Due(now.Mono+1) <= now.Mono {
		p.commit(now)
	}
}

// sinksDue returns when tickSinks next has work, of the monotonic clock, but at most latest.
func (p *Probe) sinksDue(latest int64) int64 {
	if p.printer != nil {
		latest = p.printer.Due(latest)
	}
	return p.exporter.Due(latest)
}

// commit writes the state file, then flushes all sinks.
func (p *Probe) commit(now conntrack.Timestamp) {
	p.checkpointer.write()
	p.sinks.Flush(now)
}

// closeSinks flushes the sinks and waits for the printing.
func (p *Probe) closeSinks(now conntrack.Timestamp) {
	p.commit(now)
	p.exporter.Close(now)
	p.checkpointer.close()
	if p.printer == nil {
		return
	}
	if err := p.printer.Close(stopTimeout); err != nil {
		p.log.Warn("flows could not be printed", zap.Error(err))
	}
}

package probe

import (
	"context"
	"io"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally/print"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// printTo has flows printed to out as long as there is no collector.
func (p *Probe) printTo(out io.Writer) {
	p.printer = print.NewSink(out)
	p.chooseSinks()
}

// chooseSinks returns to printing where the configuration has no collector any more, and
// ends it where it has one.
func (p *Probe) chooseSinks() {
	p.sinks = flow.Sinks{p.exporter}
	if p.printer != nil && len(p.config.Collectors) == 0 {
		p.sinks = append(p.sinks, p.printer)
	}
}

// tickSinks does what sinks have to do at now.
func (p *Probe) tickSinks(ctx context.Context, now conntrack.Timestamp) {
	p.exporter.Tick(ctx, now)
	if p.printer != nil && p.printer.Due(now.Mono+1) <= now.Mono {
		p.commit(now)
	}
}

// sinksDue returns when tickSinks has work, of the monotonic clock, but at the latest
// what it is given.
func (p *Probe) sinksDue(latest int64) int64 {
	if p.printer != nil {
		latest = p.printer.Due(latest)
	}
	return p.exporter.Due(latest)
}

// commit writes down what was exported, then has all sinks hand it on.
func (p *Probe) commit(now conntrack.Timestamp) {
	p.checkpointer.write()
	p.sinks.Flush(now)
}

// closeSinks hands on what is left, and waits for the printing.
func (p *Probe) closeSinks(now conntrack.Timestamp) {
	p.commit(now)
	p.exporter.Close(now)
	p.checkpointer.close()
	if p.printer == nil {
		return
	}
	if err := p.printer.Close(stopPatience); err != nil {
		p.log.Warn("flows could not be printed", zap.Error(err))
	}
}

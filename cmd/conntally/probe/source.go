package probe

import (
	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/bpf"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/conntrack/kernel"
)

// openSource subscribes to netlink's events, and prepares for eBPF if c asks for it.
func openSource(c *config.Config, clock conntrack.Clock) (*bpf.Source, error) {
	began := clock()
	r, err := ctnetlink.Open(ctnetlink.Options{
		ReceiveBuffer: int(c.Conntrack.ReceiveBuffer), Reliable: c.Conntrack.Reliable,
	}, clock)
	if err != nil {
		return nil, err
	}
	return bpf.NewSource(r, bpf.SourceOptions{
		BPF:   wantsBPF(c),
		Ring:  int(c.Conntrack.ReceiveBuffer) / ringShare,
		Began: began,
	}, clock), nil
}

// ringShare is how much smaller the ring is than netlink's buffer, which has to have room for the
// kernel's overhead too: a record takes 216 bytes of the one, an event 640 of what is asked for the
// other.
const ringShare = 8

func wantsBPF(c *config.Config) bool { return c.Conntrack.Ends != config.EndsByNetlink }

// source is how connections are read: ends, and living ones.
type source struct {
	step       bpf.Step
	reason     string // why not by eBPF, though it was tried; else ""
	dumpReason string // why living ones are dumped by netlink, though ends aren't; else ""
}

// describe returns what the control socket and the metrics say of ends. A nil source is netlink.
func (s *source) describe() (name, step, reason string) {
	if s == nil {
		return "netlink", "", ""
	}
	if s.step == bpf.Netlink {
		return "netlink", "", s.reason
	}
	return "bpf", string(s.step), ""
}

// describeDumps returns what they say of living connections.
func (s *source) describeDumps() (name, reason string) {
	switch {
	case s == nil:
		return "netlink", ""
	case s.step == bpf.Netlink:
		return "netlink", s.reason
	case s.dumpReason != "":
		return "netlink", s.dumpReason
	}
	return "bpf", ""
}

// chooseSource begins to read ends by eBPF if that is asked for, and hasn't been tried or failed for a
// reason that may have passed. Once the rights for it are given up, only a restart brings it back.
func (p *Probe) chooseSource() {
	if p.reader.Final() || p.settled {
		return
	}
	err := p.reader.Attach(p.apply)
	now, was := p.clock(), p.source.Load()
	is := &source{
		step: p.reader.Step(), reason: text(err), dumpReason: text(p.reader.WalkError()),
	}
	p.source.Store(is)
	switch {
	case err == nil:
		p.log.Info("ends of connections are read by eBPF", zap.String("step", string(is.step)))
		p.logDumps(p.reader.WalkError())
		p.observeBuffer(now, p.reader.ReceiveBuffer())
		p.undoEvents()
	case was == nil || was.reason != is.reason:
		p.log.Info("ends of connections are read by netlink: eBPF can't be had",
			zap.Error(err), zap.Bool("tried_again", !p.reader.Final()))
	}
	if p.config.Conntrack.Ends == config.EndsByBPF {
		c := condition.Condition{ID: condition.SourceFellBack}
		if err != nil {
			c = condition.OfSource(err)
		}
		p.setCondition(now, err != nil, c)
	}
	if p.reader.Final() && p.options.Settled != nil {
		p.options.Settled()
		p.settled = true
	}
}

// fallBack notes that reading ends by eBPF broke off with err.
func (p *Probe) fallBack(now conntrack.Timestamp, err error) {
	reason := err.Error()
	if p.settled {
		reason += ": restart conntally"
	}
	p.source.Store(&source{step: bpf.Netlink, reason: reason})
	p.conditions.Clear(condition.DumpsFellBack, "")
	if p.config.Conntrack.Ends == config.EndsByBPF {
		p.conditions.Raise(now, condition.Condition{ID: condition.SourceFellBack, Detail: reason})
	}
}

// undoEvents has the kernel prepare no events for each connection, unless it did so before: nobody
// reads them now.
func (p *Probe) undoEvents() {
	if p.events.Name == "" {
		return
	}
	if err := p.events.Undo(); err == nil {
		p.log.Info("set back in the kernel, since eBPF reports ends",
			zap.String("setting", p.events.Name), zap.Int("to", p.events.Was))
	}
	p.events = kernel.Setting{}
}

// awaitsEnds reports whether the end of every entry is still to come that dumps don't show any more:
// so it is by eBPF, unless some were lost. Two dumps lack those then; the loss may have become known
// during a third.
func (p *Probe) awaitsEnds() bool {
	const dumps = 3
	p.distrusted = max(0, p.distrusted-1)
	if lost := p.reader.Lost(); lost != p.known {
		p.known, p.distrusted = lost, dumps
	}
	return p.reader.Step() != bpf.Netlink && p.distrusted == 0
}

// observeWalk says how living connections were dumped, where ends are read by eBPF. err is why by
// netlink.
func (p *Probe) observeWalk(now conntrack.Timestamp, err error) {
	was := p.source.Load()
	if was == nil || was.step == bpf.Netlink {
		return
	}
	is := *was
	is.dumpReason = text(err)
	if is != *was {
		p.source.Store(&is)
		p.logDumps(err)
	}
	if p.config.Conntrack.Ends == config.EndsByBPF {
		p.setCondition(now, err != nil, condition.Condition{
			ID: condition.DumpsFellBack, Detail: is.dumpReason,
		})
	}
}

// text returns the text of an error, or "".
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (p *Probe) logDumps(err error) {
	if err == nil {
		p.log.Info("living connections are read by eBPF")
		return
	}
	p.log.Info("living connections are dumped by netlink: eBPF can't be had for them",
		zap.Error(err))
}

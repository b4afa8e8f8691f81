package export

import "github.com/conntally/conntally/flow"

// ExportPair implements flow.Pairs. Collectors that don't take biflows are given a
// record for each direction that moved. Both leave together: they are written down
// together.
func (e *Exporter) ExportPair(both *[2]flow.Record) {
	if e.BeforeSend != nil && e.fullForPair(both) {
		e.Flush(both[0].At)
	}
	for _, c := range e.Collectors {
		if c.paired {
			c.exportPair(both)
		}
	}
	for i := range both {
		if both[i].Moved() {
			e.Export(&both[i])
		}
	}
}

func (e *Exporter) fullForPair(both *[2]flow.Record) bool {
	for _, c := range e.Collectors {
		if c.socket != nil && !c.fitsPair(both) {
			return true
		}
	}
	return false
}

// fitsPair tells whether the message has room for what becomes of a pair.
func (c *Collector) fitsPair(both *[2]flow.Record) bool {
	if c.paired {
		return c.encoder.FitsPair(both)
	}
	return c.encoder.FitsBoth(both)
}

// exportPair is export for both directions in one record.
func (c *Collector) exportPair(both *[2]flow.Record) {
	if c.socket == nil {
		c.Stats.Unsent.Add(1)
		one := sum{}
		one.addPair(both)
		c.Stats.lose(&one)
		return
	}
	now := both[0].At
	c.begin(now)
	for !c.encoder.AddPair(both, now.Wall) {
		c.finish(now)
		c.begin(now)
	}
	c.wait(now)
}

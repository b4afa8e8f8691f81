package serve

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally-history/collect"
	"github.com/conntally/conntally/cmd/conntally-history/condition"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	shared "github.com/conntally/conntally/cmd/internal/condition"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow/host"
)

const (
	observeInterval = 5 * time.Second
	// silentAfter is after how long without a datagram an exporter counts as silent. conntally
	// sends templates each minute while there is any traffic.
	silentAfter = 15 * time.Minute
	// goneAfter is after how long that isn't worth a warning any more.
	goneAfter = 24 * time.Hour
	// quietStart is for how long nothing need have come after the start.
	quietStart = 5 * time.Minute
)

// observer turns counters into conditions.
type observer struct {
	receiver   *receiver
	collector  *collect.Collector
	names      *host.Names
	conditions *shared.Tracker
	clock      conntrack.Clock
	log        *zap.Logger
	buffer     int64 // bytes that were configured

	began  int64 // monotonic
	before map[usage.Exporter]collect.ExporterStats
	// earlier has the hours in which exporters last sent records that have sent none since the start.
	earlier map[usage.Exporter]time.Time
	dropped uint64
	refused uint64
	full    uint64
}

// run observes at intervals until ctx is done.
func (o *observer) run(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			o.observe(o.clock())
		}
	}
}

// observe raises and clears conditions as of now.
func (o *observer) observe(now conntrack.Timestamp) {
	stats := o.collector.Stats()
	for i := range stats.Exporters {
		o.exporter(now, &stats.Exporters[i])
	}
	o.forget(stats.Exporters)
	o.absent(now, stats.Exporters)
	o.socket(now)
	if n := stats.Overflow; n > o.full {
		o.raise(now, condition.DevicesFull, "", "%d records", n-o.full)
		o.full = n
	}
	if slices.ContainsFunc(stats.Exporters, isNoProbe) {
		o.conditions.Clear(condition.NothingReceived, "")
	} else if now.Mono-o.began > int64(quietStart) {
		o.raise(now, condition.NothingReceived, "", "at %s", o.receiver.conn.LocalAddr())
	}
	o.observeNames(now)
	o.conditions.Tick(now)
}

func (o *observer) raise(
	now conntrack.Timestamp, id shared.ID, subject, format string, values ...any,
) {
	detail := fmt.Sprintf(format, values...)
	o.conditions.Raise(now, shared.Condition{ID: id, Subject: subject, Detail: detail})
}

// isNoProbe reports whether more came from an exporter than the templates with which
// `conntally check` probes a collector.
func isNoProbe(x collect.ExporterStats) bool {
	return x.Records+x.UnknownSets+x.Refused > 0
}

// exporter looks at what came from an exporter since the last time, and what did not.
func (o *observer) exporter(now conntrack.Timestamp, x *collect.ExporterStats) {
	before := o.before[x.Exporter]
	o.before[x.Exporter] = *x
	name := subject(x.Exporter)
	if x.Records > 0 && before.Records == 0 {
		o.log.Info("an exporter sends records", zap.String("exporter", name))
	}
	if n := x.MissingRecords; n > before.MissingRecords {
		o.raise(now, condition.RecordsMissing, name, "%d records", n-before.MissingRecords)
	}
	if n := x.MissingDatagrams; n > before.MissingDatagrams {
		o.raise(now, condition.RecordsMissing, name, "%d datagrams", n-before.MissingDatagrams)
	}
	if n := x.UnknownSets; n > before.UnknownSets {
		o.raise(now, condition.TemplatesUnknown, name, "%d data sets", n-before.UnknownSets)
	}
	if n := x.Refused; n > before.Refused {
		o.raise(now, condition.DatagramsMalformed, name, "%d", n-before.Refused)
	}
	silent := time.Unix(0, now.Wall).Sub(x.Last)
	_, earlier := o.earlier[x.Exporter]
	if (x.Records > 0 || earlier) && silent > silentAfter && silent < goneAfter {
		o.raise(now, condition.ExporterSilent, name, "since %s", x.Last.Format(time.DateTime))
	} else {
		o.conditions.Clear(condition.ExporterSilent, name)
	}
}

// absent looks at exporters that have sent records before the start, and nothing since.
func (o *observer) absent(now conntrack.Timestamp, present []collect.ExporterStats) {
	heard := map[string]bool{} // by subject, as an exporter may have sent another version before
	for i := range present {
		x := &present[i]
		heard[subject(x.Exporter)] = true
		if x.Records > 0 {
			delete(o.earlier, x.Exporter)
		}
	}
	if now.Mono-o.began <= int64(silentAfter) {
		return
	}
	for e, hour := range o.earlier {
		name := subject(e)
		switch {
		case heard[name]:
		case time.Unix(0, now.Wall).Sub(hour) >= goneAfter:
			o.conditions.Clear(condition.ExporterSilent, name)
			delete(o.earlier, e)
		default:
			o.raise(now, condition.ExporterSilent, name,
				"since the start; its last records came in the hour from %s",
				hour.Format("2006-01-02 15:04"))
		}
	}
}

// subject names an exporter in conditions.
func subject(x usage.Exporter) string {
	switch {
	case x.Address == netip.IPv4Unspecified():
		return "others"
	case x.Domain == 0:
		return x.Address.String()
	}
	return fmt.Sprintf("%s domain %d", x.Address, x.Domain)
}

// forget forgets exporters that the collector has forgotten.
func (o *observer) forget(present []collect.ExporterStats) {
	if len(o.before) <= len(present) {
		return
	}
	left := map[usage.Exporter]collect.ExporterStats{}
	for _, x := range present {
		left[x.Exporter] = x
	}
	for x := range o.before {
		if _, known := left[x]; !known {
			o.conditions.Clear(condition.ExporterSilent, subject(x))
		}
	}
	o.before = left
}

func (o *observer) socket(now conntrack.Timestamp) {
	s := &o.receiver.Stats
	if n := s.Dropped.Load(); n > o.dropped {
		o.raise(now, condition.DatagramsDropped, "", "%d datagrams", n-o.dropped)
		o.dropped = n
	}
	if n := s.Refused.Load(); n > o.refused {
		from := ""
		if a := o.receiver.refused.Load(); a != nil {
			from = " from " + a.String()
		}
		o.raise(now, condition.SenderRefused, "", "%d datagrams%s", n-o.refused, from)
		o.refused = n
	}
	if got := s.Buffer.Load(); got < o.buffer {
		o.raise(now, condition.BufferSmall, "", "%d of %d bytes", got, o.buffer)
	}
}

func (o *observer) observeNames(now conntrack.Timestamp) {
	var list []shared.Condition
	for _, p := range o.names.Problems() {
		detail := []string{p.Err.Error()}
		if p.Fix != "" {
			detail = append(detail, p.Fix)
		}
		list = append(list, shared.Condition{
			ID: condition.NamesUnreadable, Subject: p.Path, Detail: strings.Join(detail, "; "),
		})
	}
	o.conditions.Observe(now, list, condition.NamesUnreadable)
}

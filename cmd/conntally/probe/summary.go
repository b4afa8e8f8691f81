package probe

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/internal/notify"
)

// summaryInterval is the time between two summaries.
const summaryInterval = time.Minute

// summary logs once a minute what was counted.
type summary struct {
	due  int64 // monotonic
	last totals
}

// totals are the counters whose growth the summary shows.
type totals struct {
	ended, records, dumps, lost, vanished, duplicates, dropped, unprinted uint64
}

func (p *Probe) totals() totals {
	t := totals{
		ended: p.reader.Stats.Destroys.Load(), dumps: p.reader.Stats.Dumps.Load(),
		lost:    p.reader.Lost(),
		records: p.table.Stats.Records.Load(), vanished: p.table.Stats.MissedDestroys.Load(),
		duplicates: p.table.Stats.Duplicates.Load(), dropped: p.dropped,
	}
	for _, c := range p.exporter.Collectors {
		t.dropped += c.Stats.Dropped.Load()
	}
	if p.printer != nil {
		t.unprinted = p.printer.Stats.Missed.Load()
	}
	return t
}

func (s *summary) begin(p *Probe) {
	s.due = p.clock().Mono + int64(summaryInterval)
	s.last = p.totals()
}

// tick logs a summary once a minute, as a warning if something was lost, and sends the
// service manager a status line.
func (s *summary) tick(p *Probe) {
	if p.clock().Mono < s.due {
		return
	}
	now, was := p.totals(), s.last
	log := p.log.Debug
	if now.lost != was.lost || now.dropped != was.dropped || now.unprinted != was.unprinted {
		log = p.log.Warn
	}
	log("last minute",
		zap.Int64("flows", p.table.Stats.Flows.Load()),
		zap.Uint64("ended", now.ended-was.ended), zap.Uint64("records", now.records-was.records),
		zap.Uint64("dumps", now.dumps-was.dumps), zap.Uint64("lost_events", now.lost-was.lost),
		zap.Uint64("vanished", now.vanished-was.vanished),
		zap.Uint64("duplicates", now.duplicates-was.duplicates),
		zap.Uint64("unsent_records", now.dropped-was.dropped),
		zap.Uint64("unprinted_records", now.unprinted-was.unprinted),
		zap.Stringer("poll_interval", p.pacer.interval()))
	p.manager.Notify(notify.Status(fmt.Sprintf(
		"%d connections; in the last minute %d ended, %d records, %d events lost",
		p.table.Stats.Flows.Load(), now.ended-was.ended, now.records-was.records,
		now.lost-was.lost)))
	s.due = p.clock().Mono + int64(summaryInterval)
	s.last = now
}

// end logs the totals, as a warning if events or records were lost since the last summary.
func (s *summary) end(p *Probe) {
	now, was := p.totals(), s.last
	log := p.log.Info
	if now.lost != was.lost || now.dropped != was.dropped || now.unprinted != was.unprinted {
		log = p.log.Warn
	}
	fields := []zap.Field{
		zap.Uint64("records", now.records), zap.Uint64("lost_events", now.lost-was.lost),
		zap.Uint64("unsent_records", now.dropped-was.dropped),
	}
	if p.printer != nil {
		fields = append(fields, zap.Uint64("unprinted_records", now.unprinted-was.unprinted))
	}
	if p.unread {
		log = p.log.Warn
		fields = append(fields, zap.String("missing", "the kernel was still repeating events"))
	}
	log("stopped", fields...)
}

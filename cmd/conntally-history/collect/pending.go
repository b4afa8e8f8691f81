package collect

import (
	"maps"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// pending is what has been counted and not written.
type pending struct {
	merges         []usage.Merge // of a batch that came back
	hours          map[usage.DeviceHour]usage.Usage
	destinations   map[usage.Destination]usage.DestinationUsage
	destinationsAt time.Time // when they were last part of a batch
	exporters      map[usage.ExporterHour]usage.Intake
	sequences      map[usage.Exporter]usage.Sequence
}

func newPending() pending {
	return pending{
		hours:        map[usage.DeviceHour]usage.Usage{},
		destinations: map[usage.Destination]usage.DestinationUsage{},
		exporters:    map[usage.ExporterHour]usage.Intake{},
		sequences:    map[usage.Exporter]usage.Sequence{},
	}
}

// addHour adds to what a device moved in an hour.
func (p *pending) addHour(k usage.DeviceHour, u usage.Usage) {
	sum, known := p.hours[k]
	if !known && len(p.hours) >= maxHourRows && k.Device != usage.Other {
		k.Device = usage.Other
		sum = p.hours[k]
	}
	sum.Add(u)
	p.hours[k] = sum
}

// rest returns the destination for what a device exchanged with all that find no room.
func rest(k usage.Destination) usage.Destination {
	return usage.Destination{Day: k.Day, Device: k.Device}
}

// addDestination adds to what a device exchanged with a destination, and reports whether
// there was room for it.
func (p *pending) addDestination(k usage.Destination, u usage.DestinationUsage) (found bool) {
	sum, known := p.destinations[k]
	found = known || len(p.destinations) < maxDestinations || k == rest(k)
	if !found {
		k = rest(k)
		sum = p.destinations[k]
	}
	p.destinations[k] = join(sum, u)
	return found
}

// join adds the usage of a destination to that of the same destination.
func join(a, b usage.DestinationUsage) usage.DestinationUsage {
	a.Add(b.Usage)
	a.UpContacts += b.UpContacts
	a.DownContacts += b.DownContacts
	if a.First.IsZero() || !b.First.IsZero() && b.First.Before(a.First) {
		a.First = b.First
	}
	if b.Last.After(a.Last) {
		a.Last = b.Last
	}
	return a
}

// intake adds to what an exporter sent.
func (p *pending) intake(c usage.Calendar, now time.Time, x usage.Exporter, i usage.Intake) {
	hour, day := c.Hour(now)
	p.addIntake(usage.ExporterHour{Hour: hour, Day: day, Exporter: x}, i)
}

func (p *pending) addIntake(k usage.ExporterHour, i usage.Intake) {
	sum, known := p.exporters[k]
	if !known && len(p.exporters) >= maxIntakeRows {
		k.Exporter = noExporter()
		sum = p.exporters[k]
	}
	sum.Add(i)
	p.exporters[k] = sum
}

// recover takes back that units of an exporter are missing, if that is not written yet: they
// came late.
func (p *pending) recover(x *exporter, units uint64, c usage.Calendar, now time.Time) {
	hour, day := c.Hour(now)
	k := usage.ExporterHour{Hour: hour, Day: day, Exporter: x.key}
	sum, known := p.exporters[k]
	if units == 0 || !known {
		return
	}
	missing, total := &sum.MissingRecords, &x.total.MissingRecords
	if x.key.Version == netflow9 {
		missing, total = &sum.MissingDatagrams, &x.total.MissingDatagrams
	}
	units = min(units, *missing)
	*missing -= units
	*total -= units
	p.exporters[k] = sum
}

// follow takes over where an exporter's sequence stands.
func (p *pending) follow(x *exporter) {
	if s := x.streams[x.latest]; s != nil && s.known && x.key != noExporter() {
		p.sequences[x.key] = s.sequence(x.latest)
	}
}

// take returns what is pending, and begins again.
func (p *pending) take(now time.Time, destinations bool, merges []usage.Merge) *usage.Batch {
	all := append(p.merges, merges...)
	p.rename(all)
	b := &usage.Batch{
		At: now, Merges: all, Hours: p.hours, Exporters: p.exporters, Sequences: p.sequences,
	}
	kept, at := p.destinations, p.destinationsAt
	*p = newPending()
	if destinations {
		b.Destinations, at = kept, now
	} else {
		p.destinations = kept
	}
	p.destinationsAt = at
	return b
}

// rename makes what devices have moved that of those that they have become part of.
func (p *pending) rename(merges []usage.Merge) {
	if len(merges) == 0 {
		return
	}
	into := map[string]string{}
	for _, m := range merges {
		into[m.From] = m.Into
	}
	hours, destinations := p.hours, p.destinations
	p.hours = map[usage.DeviceHour]usage.Usage{}
	p.destinations = map[usage.Destination]usage.DestinationUsage{}
	for k, u := range hours {
		if to, merged := into[k.Device]; merged {
			k.Device = to
		}
		p.addHour(k, u)
	}
	for k, u := range destinations {
		if to, merged := into[k.Device]; merged {
			k.Device = to
		}
		p.addDestination(k, u)
	}
}

// restore takes a batch back that was not written.
func (p *pending) restore(b *usage.Batch) {
	p.merges = append(b.Merges, p.merges...)
	for k, u := range b.Hours {
		p.addHour(k, u)
	}
	for k, u := range b.Destinations {
		p.addDestination(k, u)
	}
	for k, i := range b.Exporters {
		p.addIntake(k, i)
	}
	newer := p.sequences
	p.sequences = map[usage.Exporter]usage.Sequence{}
	maps.Copy(p.sequences, b.Sequences)
	maps.Copy(p.sequences, newer)
}

package collect

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

func calendar(t testing.TB, zone string) usage.Calendar {
	t.Helper()
	l, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	return usage.Calendar{Location: l}
}

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestRecordsAreSpreadOverHours(t *testing.T) {
	received := at("2026-11-30T12:00:00Z")
	for _, c := range []struct {
		name, zone, start, end string
		bytes                  uint64
		want                   map[string]uint64
	}{
		{"within an hour", "UTC", "2026-11-30T10:10:00Z", "2026-11-30T10:20:00Z", 7,
			map[string]uint64{"2026-11-30T10:00:00Z": 7}},
		{"over two hours", "UTC", "2026-11-30T09:45:00Z", "2026-11-30T10:15:00Z", 7,
			map[string]uint64{"2026-11-30T09:00:00Z": 3, "2026-11-30T10:00:00Z": 4}},
		{"until the hour", "UTC", "2026-11-30T09:45:00Z", "2026-11-30T10:00:00Z", 7,
			map[string]uint64{"2026-11-30T09:00:00Z": 7}},
		{"in no time", "UTC", "2026-11-30T10:00:00Z", "2026-11-30T10:00:00Z", 7,
			map[string]uint64{"2026-11-30T10:00:00Z": 7}},
		{"half an hour off", "Asia/Kolkata", "2026-11-30T10:20:00Z", "2026-11-30T10:40:00Z", 8,
			map[string]uint64{"2026-11-30T09:30:00Z": 4, "2026-11-30T10:30:00Z": 4}},
		{"little in many hours", "UTC", "2026-11-30T01:00:00Z", "2026-11-30T11:00:00Z", 1,
			map[string]uint64{"2026-11-30T10:00:00Z": 1}},
		{"ends later than received", "UTC", "2026-11-30T11:00:00Z", "2026-11-30T13:00:00Z", 6,
			map[string]uint64{"2026-11-30T11:00:00Z": 6}},
		{"without times", "UTC", "", "", 6, map[string]uint64{"2026-11-30T11:00:00Z": 6}},
		{"of an unset clock", "UTC", "1970-01-01T00:00:00Z", "1970-01-01T00:01:00Z", 6,
			map[string]uint64{"2026-11-30T12:00:00Z": 6}},
		{"longer than eight days", "UTC", "2026-11-14T12:00:00Z", "2026-11-30T12:00:00Z", 16 * 24,
			nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var start, end time.Time
			if c.start != "" {
				start, end = at(c.start), at(c.end)
			}
			got := map[string]uint64{}
			newSpan(start, end, received.Add(-time.Second), received).spread(
				calendar(t, c.zone), received, moved{bytes: c.bytes}, func(p part) {
					got[time.Unix(int64(p.hour), 0).UTC().Format(time.RFC3339)] += p.bytes
				})
			if c.want == nil { // the first half belongs to the first hour
				c.want = map[string]uint64{"2026-11-22T12:00:00Z": 8*24 + 1}
				for hour := at("2026-11-22T13:00:00Z"); hour.Before(received); hour = hour.Add(time.Hour) {
					c.want[hour.Format(time.RFC3339)] = 1
				}
			}
			for hour, bytes := range c.want {
				if got[hour] != bytes {
					t.Errorf("%s: got %d, want %d", hour, got[hour], bytes)
				}
				delete(got, hour)
			}
			if len(got) > 0 {
				t.Errorf("also %v", got)
			}
		})
	}
}

// In any zone, over changes of clocks, with any times: parts add up to the whole, are within 1
// of their share at each hour's end, follow each other, and are of the hour that they are in.
func TestSpreadingIsExact(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 1))
	t.Log("seed", seed)
	zones := []string{"UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu",
		"Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca"}
	changes := []time.Time{at("2026-03-29T01:00:00Z"), at("2026-10-25T01:00:00Z"),
		at("2026-04-04T15:00:00Z"), at("2026-10-03T15:30:00Z"), at("2011-12-30T10:00:00Z")}
	for range 20000 {
		c := calendar(t, zones[r.IntN(len(zones))])
		received := changes[r.IntN(len(changes))].Add(time.Duration(r.Int64N(int64(20 * 24 * time.Hour))))
		length := time.Duration(1) << r.IntN(50)
		end := received.Add(-time.Duration(r.Int64N(int64(longest))))
		s := newSpan(end.Add(-time.Duration(r.Int64N(int64(length)))), end, time.Time{}, received)
		m := moved{bytes: r.Uint64() >> r.IntN(64), packets: r.Uint64() >> r.IntN(64)}
		var sum moved
		var before part
		s.spread(c, received, m, func(p part) {
			hour, day := c.Hour(p.start)
			last, _ := c.Hour(lastMoment(p))
			if hour != p.hour || day != p.day || last != hour {
				t.Fatalf("%v: part %v to %v is of %d, not of %d", c.Location, p.start, p.end, hour,
					p.hour)
			}
			if p.start.Before(before.end) || p.end.Before(p.start) {
				t.Fatalf("%v follows %v", p, before)
			}
			before = p
			sum.bytes += p.bytes
			sum.packets += p.packets
			want := m.bytes
			if s.end.After(s.start) {
				want = share(m.bytes, p.end.Sub(s.start), s.end.Sub(s.start))
			}
			if sum.bytes != want {
				t.Fatalf("by %v %d bytes, want %d", p.end, sum.bytes, want)
			}
		})
		if sum != m {
			t.Fatalf("parts of %v add up to %v", m, sum)
		}
	}
}

// lastMoment returns the last moment of a part.
func lastMoment(p part) time.Time {
	if p.end.After(p.start) {
		return p.end.Add(-1)
	}
	return p.end
}

func TestShareOfLargeNumbers(t *testing.T) {
	if got := share(1<<64-1, longest/2, longest); got != 1<<63-1 {
		t.Errorf("got %d", got)
	}
}

package export

import (
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/flow"
)

const day = 24 * time.Hour

// uptimeWrap is how long 32 bits of milliseconds last: 49.7 days.
const uptimeWrap = time.Duration(1<<32) * time.Millisecond

// clocks are system times that one exporter sees one after the other.
var clocks = []struct {
	name  string
	walls []int64
}{
	{"start", []int64{present}},
	{"whole second", []int64{present / 1e9 * 1e9, present/1e9*1e9 + 1}},
	{"49.7 days on",
		[]int64{
			present, present + int64(uptimeWrap), present + int64(uptimeWrap+time.Millisecond),
		}},
	{"half of it on", every(present, uptimeWrap/2-time.Second, 250*time.Millisecond, 10)},
	{"500 days, a message a day", every(present, 0, day, 500)},
	{"500 days of silence", []int64{present, present + int64(500*day)}},
	{"set back 1 h", []int64{present, present - int64(time.Hour)}},
	{"set back 23 h", []int64{present, present - int64(23*time.Hour)}},
	{"set back 2 days", []int64{present, present - int64(2*day)}},
	{"set back 1 h, after 30 days",
		[]int64{present, present + int64(30*day), present + int64(30*day-time.Hour)}},
	{"from 1970", []int64{int64(25 * time.Hour), present}},
	{"to 1970", []int64{present, int64(25 * time.Hour)}},
}

func every(from int64, first, step time.Duration, n int) (walls []int64) {
	for i := range n {
		walls = append(walls, from+int64(first)+int64(i)*int64(step))
	}
	return walls
}

// ages of a record's start and end.
var ages = [][2]time.Duration{
	{0, 0}, {time.Millisecond, 0}, {999 * time.Microsecond, 1}, {61 * time.Second, time.Second},
	{time.Hour, 999 * time.Millisecond}, {11 * time.Hour, 10 * time.Hour},
}

func aged(now int64) []flow.Record {
	records := make([]flow.Record, len(ages))
	for i, a := range ages {
		records[i] = sample(i%templateCount, now)
		records[i].Start, records[i].End = now-int64(a[0]), now-int64(a[1])
	}
	return records
}

// TestTimes checks the times that a collector computes, for a message that is finished 400 ms after
// its records were added.
func TestTimes(t *testing.T) {
	for _, p := range protocols {
		for _, c := range clocks {
			t.Run(p.String()+"/"+c.name, func(t *testing.T) {
				e := NewEncoder(p, goldenDomain, DefaultMessageSize, RecordOptions{})
				messages := [][]byte{goldenTemplates(e)}
				var want []flow.Record
				for _, wall := range c.walls {
					records := aged(wall)
					want = append(want, records...)
					addAll(t, e, records, wall)
					messages = append(messages, slices.Clone(e.Finish(wall+4e8)))
				}
				checkUptimes(t, messages)
				sameFlows(t, flowsIn(t, messages), wantFlows(p, goldenDomain, want))
			})
		}
	}
}

// TestTimesAcrossStep sets the clock within a message.
func TestTimesAcrossStep(t *testing.T) {
	for _, p := range protocols {
		for _, c := range clocks {
			t.Run(p.String()+"/"+c.name, func(t *testing.T) {
				e := NewEncoder(p, goldenDomain, 65000, RecordOptions{})
				messages := [][]byte{goldenTemplates(e)}
				var want []flow.Record
				for _, wall := range c.walls {
					for _, r := range aged(wall) {
						if !e.Add(&r, wall) {
							messages = append(messages, slices.Clone(e.Finish(wall)))
							addAll(t, e, []flow.Record{r}, wall)
						}
						want = append(want, r)
					}
				}
				messages = append(messages, slices.Clone(e.Finish(c.walls[len(c.walls)-1])))
				checkUptimes(t, messages)
				sameFlows(t, flowsIn(t, messages), wantFlows(p, goldenDomain, want))
			})
		}
	}
}

// TestTimesStepBeforeFinish sets the clock between the last record and Finish.
func TestTimesStepBeforeFinish(t *testing.T) {
	for _, p := range protocols {
		for _, c := range clocks {
			t.Run(p.String()+"/"+c.name, func(t *testing.T) {
				e := NewEncoder(p, goldenDomain, DefaultMessageSize, RecordOptions{})
				messages := [][]byte{goldenTemplates(e)}
				records := aged(c.walls[0])
				addAll(t, e, records, c.walls[0])
				messages = append(messages, slices.Clone(e.Finish(c.walls[len(c.walls)-1])))
				checkUptimes(t, messages)
				sameFlows(t, flowsIn(t, messages), wantFlows(p, goldenDomain, records))
			})
		}
	}
}

func addAll(t *testing.T, e *Encoder, records []flow.Record, wall int64) {
	t.Helper()
	for i := range records {
		if !e.Add(&records[i], wall) {
			t.Fatal("no room in an empty message")
		}
	}
}

// checkUptimes wants FIRST <= LAST <= sysUptime: otherwise pmacct and nfdump would jump by 49.7
// days.
func checkUptimes(t *testing.T, messages [][]byte) {
	t.Helper()
	for _, b := range messages {
		m := walk(t, b)
		if m.protocol != NetFlow9 {
			continue
		}
		for _, s := range m.sets {
			if s.id < firstTemplate || s.id >= samplingOption {
				continue
			}
			checkSetUptimes(t, s, m.uptime)
		}
	}
}

func checkSetUptimes(t *testing.T, s rawSet, uptime uint32) {
	t.Helper()
	at := 2*4 + 32
	if s.id&v6Bit != 0 {
		at = 2*16 + 32
	}
	size := wantSize(NetFlow9, s.id)
	for b := s.content; len(b) >= size; b = b[size:] {
		if first, last := be.Uint32(b[at:]), be.Uint32(b[at+4:]); first > last || last > uptime {
			t.Fatalf("first %d, last %d, uptime %d", first, last, uptime)
		}
	}
}

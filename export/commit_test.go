package export

import (
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// TestCommitBeforeSending holds the order that exact restarts rest on: all that leaves was
// written down before, and what is written down leaves at all collectors at once.
func TestCommitBeforeSending(t *testing.T) {
	clock := newFakeClock()
	e := &Exporter{}
	for _, p := range protocols {
		e.Collectors = append(e.Collectors, opened(t, p, listen4(t), clock))
	}
	exported, written := 0, 0
	e.Commit = func(now conntrack.Timestamp) {
		written = exported
		e.Flush(now)
	}
	records := samples(clock.at.Wall)
	for i := range 500 {
		r := records[i%len(records)]
		exportAllNow(e, &r)
		exported++
		if i%50 == 0 {
			drive(t, e, clock, 300*time.Millisecond)
		}
		for _, c := range e.Collectors {
			// Sent are all but those that wait; at most two of these are option data.
			if sent := exported - c.encoder.Records(); sent > written {
				t.Fatalf("%v: %d records sent, %d written down", c.Config.Protocol, sent, written)
			}
			if waiting := c.encoder.Records(); waiting > exported-written+optionRecords {
				t.Fatalf("%v: %d records wait, only %d are not written down",
					c.Config.Protocol, waiting, exported-written)
			}
		}
	}
	e.Close(clock.now())
	if written != exported {
		t.Errorf("%d of %d records written down at the end", written, exported)
	}
}

package export

import (
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// TestCommitBeforeSending proves the order that exact restarts depend on: what is sent was in a
// checkpoint before, and what is in a checkpoint is sent to all collectors at once.
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
			// All but the waiting records are sent; at most two of those are option data.
			if sent := exported - c.encoder.Records(); sent > written {
				t.Fatalf("%v: %d records sent, %d written down", c.Config.Protocol, sent, written)
			}
			if waiting := c.encoder.Records(); waiting > exported-written+optionRecords {
				t.Fatalf("%v: %d records wait, only %d are not in the checkpoint",
					c.Config.Protocol, waiting, exported-written)
			}
		}
	}
	e.Close(clock.now())
	if written != exported {
		t.Errorf("%d of %d records written down at the end", written, exported)
	}
}

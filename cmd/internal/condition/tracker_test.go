package condition

import (
	"strconv"
	"testing"
	"time"

	"go.uber.org/zap"
)

// What is over is forgotten, however many subjects there were.
func TestEndedConditionsAreForgotten(t *testing.T) {
	tracker := NewTracker(zap.NewNop(), []Definition{{ID: "a", Event: true}, {ID: "b"}})
	now := Timestamp{Mono: 5}
	for i := range 100 {
		tracker.Raise(now, Condition{ID: "a", Subject: strconv.Itoa(i)})
		tracker.Raise(now, Condition{ID: "b", Subject: strconv.Itoa(i)})
		tracker.Clear("b", strconv.Itoa(i))
	}
	now.Mono += int64(EventLasts)
	tracker.Tick(now) // ends the events
	now.Mono += int64(2 * time.Minute)
	tracker.Tick(now)
	if n := len(tracker.held); n != 0 {
		t.Errorf("%d conditions that are over are kept", n)
	}
}

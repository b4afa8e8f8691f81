package ctnetlink_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// FuzzKnownShapes proves that decoding doesn't depend on earlier messages.
func FuzzKnownShapes(f *testing.F) {
	for _, c := range entries {
		b := conntracktest.AppendAttributes(nil, &c.event)
		f.Add(b, b)
		f.Add(b, appended())
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		decode := ctnetlink.CachingDecoder()
		for _, b := range [...][]byte{first, second, first, second} {
			sameAsAlone(t, decode, b)
		}
	})
}

// sameAsAlone reports whether b could be decoded, and fails if decode disagrees with a decoder that
// knows no shapes.
func sameAsAlone(t *testing.T, decode func([]byte, *conntrack.Event) error, b []byte) bool {
	t.Helper()
	got, want := dirty(), dirty()
	alone := ctnetlink.Decode(b, &want)
	if err := decode(b, &got); (err == nil) != (alone == nil) || got != want {
		t.Fatalf("% x:\ngot  %+v (%v)\nwant %+v (%v)", b, got, err, want, alone)
	}
	return alone == nil
}

// TestKnownShapesDecodeAsUnknownOnes changes some octets of messages whose shapes are known.
func TestKnownShapesDecodeAsUnknownOnes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	decode, good := ctnetlink.CachingDecoder(), 0
	for range 2000 {
		for _, c := range entries {
			b := conntracktest.AppendAttributes(nil, &c.event)
			sameAsAlone(t, decode, b)
			for range random.IntN(3) {
				b[random.IntN(len(b))] = byte(random.IntN(256))
			}
			if sameAsAlone(t, decode, slices.Clip(b)) {
				good++
			}
		}
	}
	if good < 1000 {
		t.Errorf("only %d messages could be read", good)
	}
}

package conntrack

import (
	"math/rand/v2"
	"testing"
)

// What the short way reads, the long way reads alike; and what it refuses may be
// anything.
func TestLayoutAgreesWithWalk(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	tuples := [][]byte{
		{20, 0, 1, 128, 8, 0, 1, 0, 192, 0, 2, 1, 8, 0, 2, 0, 192, 0, 2, 2,
			28, 0, 2, 128, 5, 0, 1, 0, 6, 0, 0, 0, 6, 0, 2, 0, 1, 187, 0, 0, 6, 0, 3, 0, 200, 1, 0, 0},
		append(append([]byte{44, 0, 1, 128, 20, 0, 3, 0}, append(make([]byte, 16), append([]byte{20, 0, 4, 0}, make([]byte, 16)...)...)...),
			28, 0, 2, 128, 5, 0, 1, 0, 17, 0, 0, 0, 6, 0, 2, 0, 1, 187, 0, 0, 6, 0, 3, 0, 200, 1, 0, 0),
	}
	taken := 0
	for _, good := range tuples {
		if header([]byte{8, 0, 1, 0}) != attr(8, 1) {
			t.Skip("the bytes are those of a little-endian kernel")
		}
		for range 20_000 {
			b := append([]byte(nil), good...)
			for range random.IntN(3) {
				b[random.IntN(len(b))] = byte(random.IntN(256))
			}
			var short, long Tuple
			if !short.fixed(b) {
				continue
			}
			taken++
			if err := new(Event).walkTuple(b, &long); err != nil || short != long {
				t.Fatalf("% x: %+v the short way, %+v (%v) the long way", b, short, long, err)
			}
		}
	}
	if taken < 1000 {
		t.Errorf("the short way was taken %d times only", taken)
	}
}

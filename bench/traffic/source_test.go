package traffic

import (
	"testing"
	"time"
)

func TestSteady(t *testing.T) {
	s := &Steady{
		Rate: 1000, Ring: 2, PerFlow: 3, Up: 60, Down: 1000, First: 10,
		Length: 9 * time.Millisecond,
	}
	type short struct {
		flow int
		down bool
	}
	want := []short{
		{10, false}, {11, false}, {10, true}, {11, true}, {10, false}, {11, false}, {12,
			false}, {13, false}, {12, true},
	}
	var p Packet
	for i, w := range want {
		if !s.Next(&p) || (short{p.Flow, p.Down}) != w {
			t.Fatalf("packet %d: %+v, want %v", i, p, w)
		}
		size := map[bool]uint16{false: 60, true: 1000}[p.Down]
		if p.At != time.Duration(i)*time.Millisecond || p.Size != size {
			t.Errorf("packet %d: at %v, %d bytes", i, p.At, p.Size)
		}
	}
	if s.Next(&p) {
		t.Errorf("one more: %+v", p)
	}
}

// TestFlowsBound: no flow's number is beyond what Flows says.
func TestFlowsBound(t *testing.T) {
	for _, s := range []*Steady{
		{Rate: 977, Ring: 10, PerFlow: 1, Length: time.Second},
		{Rate: 1000, Ring: 100, PerFlow: 7, Length: time.Second},
		{Rate: 1000, Ring: 100, Length: time.Second},
	} {
		most, highest := s.Flows(), 0
		for p := (Packet{}); s.Next(&p); {
			highest = max(highest, p.Flow)
		}
		if highest >= most || most > highest+2*s.Ring {
			t.Errorf("%+v: flow %d, said to be below %d", s, highest, most)
		}
	}
}

// TestHome: the same seed, the same packets; another one, others; in order, of
// sizes that exist, with a heavy tail.
func TestHome(t *testing.T) {
	const length = 10 * time.Second
	a, b, other := NewHome(1, length), NewHome(1, length), NewHome(2, length)
	perFlow := make([]int, a.Flows())
	var p, q Packet
	for last := time.Duration(0); a.Next(&p); last = p.At {
		if !b.Next(&q) || p != q {
			t.Fatalf("%+v and %+v", p, q)
		}
		least := map[bool]uint16{true: MinTCP, false: MinUDP}[p.TCP]
		if p.At < last || p.At >= length || p.Size < least || p.Size > MaxSize {
			t.Fatalf("after %v: %+v", last, p)
		}
		perFlow[p.Flow]++
	}
	if other.Next(&q); q.At == b.packets[0].At {
		t.Error("another seed made no difference")
	}
	small, all, most := 0, 0, 0
	for _, n := range perFlow {
		if n <= 10 {
			small++
		}
		all, most = all+n, max(most, n)
	}
	if small < len(perFlow)/2 || most < all/10 {
		t.Errorf("of %d flows %d are small; of %d packets the largest flow has %d",
			len(perFlow), small, all, most)
	}
}

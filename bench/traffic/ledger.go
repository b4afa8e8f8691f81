package traffic

import "time"

// Sum counts one direction of one flow.
type Sum struct{ Packets, Bytes uint64 }

// Account counts one flow, upwards and downwards.
type Account struct {
	Up, Down Sum
	Last     time.Duration // of its last packet, since the traffic began
}

// Ledger is what was sent, flow by flow.
type Ledger struct {
	Flows []Account // by number
	Total Sum
}

// NewLedger has room for flows below n.
func NewLedger(n int) *Ledger { return &Ledger{Flows: make([]Account, n)} }

func (l *Ledger) note(packets []Packet, at time.Duration) {
	for i := range packets {
		p := &packets[i]
		a := &l.Flows[p.Flow]
		s := &a.Up
		if p.Down {
			s = &a.Down
		}
		s.add(uint64(p.Size))
		l.Total.add(uint64(p.Size))
		a.Last = at
	}
}

func (s *Sum) add(bytes uint64) {
	s.Packets++
	s.Bytes += bytes
}

// Both returns the sum of both directions.
func (a *Account) Both() Sum { return a.Up.Plus(a.Down) }

// Plus returns the sum of both.
func (s Sum) Plus(o Sum) Sum { return Sum{s.Packets + o.Packets, s.Bytes + o.Bytes} }

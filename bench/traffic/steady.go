package traffic

import "time"

// Steady is a fixed number of packets per second that UDP flows share evenly.
// Flows that are at work at the same time form a ring: all of them send up, then all
// of them receive, and so on, one packet each.
type Steady struct {
	Rate    int           // packets per second; 0 = as fast as they are taken
	Ring    int           // flows at work at the same time
	PerFlow int           // packets, after which a new flow takes its place; 0 = it goes on
	Up      uint16        // bytes of an IP packet to the remote end
	Down    uint16        // from it
	First   int           // number of the first flow
	Length  time.Duration // of the traffic

	sent int
}

// Flows returns how many flows there can be: their numbers are below First + Flows.
func (s *Steady) Flows() int {
	if s.PerFlow == 0 {
		return s.Ring
	}
	rounds := s.packets()/s.Ring/s.PerFlow + 1
	return rounds * s.Ring
}

func (s *Steady) packets() int { return int(float64(s.Rate) * s.Length.Seconds()) }

// Next implements Source.
func (s *Steady) Next(p *Packet) bool {
	*p = Packet{Port: steadyPort}
	if s.Rate > 0 {
		p.At = time.Duration(float64(s.sent) / float64(s.Rate) * float64(time.Second))
	}
	round := s.sent / s.Ring
	p.Flow = s.First + s.sent%s.Ring
	if s.PerFlow > 0 {
		p.Flow += round / s.PerFlow * s.Ring
		round %= s.PerFlow
	}
	p.Down = round%2 == 1
	p.Size = s.Up
	if p.Down {
		p.Size = s.Down
	}
	s.sent++
	return p.At < s.Length
}

const steadyPort = 443

package traffic

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Home is the mix of a busy household: names looked up, pages and videos over TCP
// and QUIC whose sizes have a heavy tail, devices that say hello, and a few
// downloads that make up most of the packets. The same seed makes the same packets.
type Home struct {
	packets []Packet
	next    int
	flows   int
}

// Flows returns how many flows there are, numbered from 0.
func (h *Home) Flows() int { return h.flows }

// Next implements Source.
func (h *Home) Next(p *Packet) bool {
	if h.next == len(h.packets) {
		return false
	}
	*p = h.packets[h.next]
	h.next++
	return true
}

// kind is one kind of flow of the mix.
type kind struct {
	perSec   float64 // new flows, in a Poisson process
	tcp      bool
	port     uint16
	median   float64 // bytes from the remote end: log-normal
	sigma    float64
	perCrowd time.Duration // between two rounds of packets
	crowd    int           // packets from the remote end in a round
}

// kinds add up to some 70 new flows and 14,500 packets per second, 100 Mbit/s.
func kinds() []kind {
	const ms = time.Millisecond
	return []kind{
		// DNS, HTTPS, QUIC, devices that say hello, downloads.
		{perSec: 30, port: 53, median: 120, sigma: 0.3, crowd: 1, perCrowd: 20 * ms},
		{perSec: 20, tcp: true, port: 443, median: 12e3, sigma: 1.8, crowd: 10, perCrowd: 20 * ms},
		{perSec: 10, port: 443, median: 20e3, sigma: 1.8, crowd: 10, perCrowd: 20 * ms},
		{perSec: 10, tcp: true, port: 8883, median: 200, sigma: 0.5, crowd: 1, perCrowd: 200 * ms},
		{perSec: 0.3, tcp: true, port: 443, median: 40e6, sigma: 1, crowd: 40, perCrowd: 20 * ms},
	}
}

// NewHome lays out a length of traffic. Flows that would go on then are cut off.
func NewHome(seed uint64, length time.Duration) *Home {
	h, r := &Home{}, rand.New(rand.NewPCG(seed, 0))
	for _, k := range kinds() {
		for at := k.pause(r); at < length; at += k.pause(r) {
			f := &dialogue{number: h.flows, kind: k, at: at, end: length}
			f.play(k.size(r))
			h.packets = append(h.packets, f.packets...)
			h.flows++
		}
	}
	slices.SortStableFunc(h.packets, func(a, b Packet) int { return cmp.Compare(a.At, b.At) })
	return h
}

func (k kind) pause(r *rand.Rand) time.Duration {
	return time.Duration(r.ExpFloat64() / k.perSec * float64(time.Second))
}

func (k kind) size(r *rand.Rand) int {
	return int(k.median*math.Exp(k.sigma*r.NormFloat64())) + 1
}

const (
	request  = 80   // bytes of payload up, once
	segment  = 1400 // bytes of payload of a full packet
	ackEvery = 2    // packets from the remote end
)

// dialogue is one flow as it is laid out.
type dialogue struct {
	kind
	number  int
	at, end time.Duration
	seq     [2]uint32 // what up and down send next
	packets []Packet
}

// play asks for and receives size bytes.
func (d *dialogue) play(size int) {
	if d.tcp {
		d.say(false, 0, SYN)
		d.say(true, 0, SYN|ACK)
		d.say(false, 0, ACK)
	}
	d.say(false, request, PSH|ACK)
	for size > 0 && d.at < d.end {
		size -= d.round(size)
	}
	if d.tcp {
		d.say(true, 0, FIN|ACK)
		d.say(false, 0, FIN|ACK)
		d.say(true, 0, ACK)
	}
}

// round is a burst from the remote end with its acknowledgements. It returns how
// many bytes it moved.
func (d *dialogue) round(size int) (moved int) {
	for i := 0; i < d.crowd && moved < size; i++ {
		n := min(segment, size-moved)
		d.say(true, n, PSH|ACK)
		if moved += n; i%ackEvery == ackEvery-1 && d.crowd > 1 {
			d.say(false, d.ackSize(), ACK)
		}
	}
	d.at += d.perCrowd
	return moved
}

// ackSize is that of an acknowledgement's payload: QUIC has them encrypted.
func (d *dialogue) ackSize() int {
	if d.tcp {
		return 0
	}
	return 35
}

// say adds a packet, half a round trip after the one before where it turns round.
func (d *dialogue) say(down bool, payload int, flags uint8) {
	const halfTrip = 5 * time.Millisecond
	if n := len(d.packets); n > 0 && d.packets[n-1].Down != down && payload < segment &&
		flags != ACK {
		d.at += halfTrip
	}
	if d.at >= d.end {
		return
	}
	p := Packet{
		At: d.at, Flow: d.number, Port: d.port, TCP: d.tcp, Down: down,
		Size: uint16(MinUDP + payload),
	}
	if d.tcp {
		from, to := 0, 1
		if down {
			from, to = 1, 0
		}
		p.Size, p.Flags, p.Seq, p.Ack = uint16(MinTCP+payload), flags, d.seq[from], d.seq[to]
		d.seq[from] += uint32(payload)
		if flags&(SYN|FIN) != 0 {
			d.seq[from]++
		}
	}
	d.packets = append(d.packets, p)
}

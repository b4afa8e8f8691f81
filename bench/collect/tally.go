package collect

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/conntally/conntally/bench/traffic"
	"github.com/conntally/conntally/export/decode"
)

// record is one flow record, whatever the protocol.
type record struct {
	src, dst       netip.AddrPort
	packets, bytes uint64
}

// Tally is what a program's records add up to.
type Tally struct {
	Datagrams int
	Bytes     int // of the datagrams' UDP payload
	Records   int
	Strangers int // records of what is no flow of the traffic
	Faulty    int // datagrams that could not be read
	Total     traffic.Sum
	Flows     []Flow // by number
}

// Flow is what the records of one flow add up to.
type Flow struct {
	Up, Down traffic.Sum
	Last     time.Time // when its last record came
}

// NewTally reads datagrams of NetFlow v5, v9 and IPFIX about flows below n.
func NewTally(datagrams []Datagram, n int) *Tally {
	t, decoder := &Tally{Flows: make([]Flow, n)}, decode.New(decode.Options{})
	for _, d := range datagrams {
		t.Datagrams++
		t.Bytes += len(d.Data)
		if err := read(decoder, d, func(r record) { t.add(r, d.At) }); err != nil {
			t.Faulty++
		}
	}
	return t
}

func read(decoder *decode.Decoder, d Datagram, fn func(record)) error {
	if len(d.Data) >= 2 && binary.BigEndian.Uint16(d.Data) == version5 {
		return decode5(d.Data, fn)
	}
	m, err := decoder.Decode(d.Data, d.From)
	for _, f := range m.Flows {
		fn(record{
			netip.AddrPortFrom(f.Src, f.SrcPort), netip.AddrPortFrom(f.Dst, f.DstPort), f.Packets,
			f.Bytes,
		})
	}
	if errors.Is(err, decode.ErrUnknownTemplate) {
		return nil // counted by what is missing
	}
	return err
}

func (t *Tally) add(r record, at time.Time) {
	t.Records++
	up := traffic.ClientNetwork().Contains(r.src.Addr())
	client, remote := r.src, r.dst
	if !up {
		client, remote = r.dst, r.src
	}
	n, ok := traffic.Number(client, remote.Addr())
	if !ok || n >= len(t.Flows) {
		t.Strangers++
		return
	}
	flow := &t.Flows[n]
	sum := &flow.Up
	if !up {
		sum = &flow.Down
	}
	sum.Packets += r.packets
	sum.Bytes += r.bytes
	t.Total.Packets += r.packets
	t.Total.Bytes += r.bytes
	flow.Last = at
}

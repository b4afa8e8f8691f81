package collect

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/conntally/conntally/bench/result"
	"github.com/conntally/conntally/bench/traffic"
)

// five makes a datagram of NetFlow v5.
func five(records ...record) []byte {
	b := make([]byte, header5+len(records)*record5)
	binary.BigEndian.PutUint16(b, version5)
	binary.BigEndian.PutUint16(b[2:], uint16(len(records)))
	for i, r := range records {
		at := b[header5+i*record5:]
		copy(at[0:], r.src.Addr().AsSlice())
		copy(at[4:], r.dst.Addr().AsSlice())
		binary.BigEndian.PutUint32(at[16:], uint32(r.packets))
		binary.BigEndian.PutUint32(at[20:], uint32(r.bytes))
		binary.BigEndian.PutUint16(at[32:], r.src.Port())
		binary.BigEndian.PutUint16(at[34:], r.dst.Port())
	}
	return b
}

func up(flow int, packets, bytes uint64) record {
	return record{
		traffic.Client(flow), netip.AddrPortFrom(traffic.Remote(flow), 443), packets, bytes,
	}
}

func down(flow int, packets, bytes uint64) record {
	r := up(flow, packets, bytes)
	r.src, r.dst = r.dst, r.src
	return r
}

func TestDecode5(t *testing.T) {
	want := []record{up(3, 4, 5), down(70_000, 6, 7)}
	var got []record
	if err := decode5(five(want...), func(r record) { got = append(got, r) }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v, want %+v", got, want)
	}
	for name, bad := range map[string][]byte{
		"no header": five()[:header5-1], "half a record": five(want...)[:header5+record5+1],
		"nothing": {}, "a great number": append(five(want...)[:2], 0xff, 0xff),
	} {
		if err := decode5(bad, func(record) {}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzDecode5(f *testing.F) {
	f.Add(five(up(1, 2, 3)))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		if decode5(b, func(record) { n++ }) == nil && n*record5+header5 > len(b) {
			t.Errorf("%d records of %d bytes", n, len(b))
		}
	})
}

func TestTally(t *testing.T) {
	at := time.Unix(100, 0)
	tally := NewTally([]Datagram{
		{At: at, Data: five(up(1, 1, 100), down(1, 2, 200))},
		{At: at.Add(time.Second),
			Data: five(up(1, 3, 300), up(9, 5, 500),
				record{src: traffic.Client(1), dst: traffic.Client(2)})},
		{At: at, Data: []byte{0, 99}},
		{At: at, Data: nil},
	}, 5)
	if tally.Datagrams != 4 || tally.Records != 5 || tally.Strangers != 2 || tally.Faulty != 2 {
		t.Errorf("%+v", tally)
	}
	flow := tally.Flows[1]
	if flow.Up != (traffic.Sum{Packets: 4, Bytes: 400}) ||
		flow.Down != (traffic.Sum{Packets: 2, Bytes: 200}) ||
		!flow.Last.Equal(at.Add(time.Second)) {
		t.Errorf("%+v", flow)
	}
	if tally.Total != (traffic.Sum{Packets: 6, Bytes: 600}) {
		t.Errorf("%+v", tally.Total)
	}
}

// TestCompare: flows that are right, wrong, missing, late, never sent.
func TestCompare(t *testing.T) {
	begin := time.Unix(1000, 0)
	stopped := begin.Add(30 * time.Second)
	account := func(last time.Duration) traffic.Account {
		return traffic.Account{
			Up: traffic.Sum{Packets: 1, Bytes: 10}, Down: traffic.Sum{Packets: 2, Bytes: 20},
			Last: last,
		}
	}
	sent := traffic.NewLedger(6)
	for i := range 5 {
		sent.Flows[i] = account(time.Duration(i) * time.Second)
	}
	datagrams := []Datagram{
		{At: begin.Add(4 * time.Second), Data: five(up(0, 1, 10), down(0, 2, 20))},  // after 4 s
		{At: begin.Add(11 * time.Second), Data: five(up(1, 1, 10), down(1, 2, 20))}, // after 10 s
		// a byte is missing
		{At: begin.Add(9 * time.Second), Data: five(up(2, 1, 10), down(2, 2, 19))},
		// not by itself
		{At: stopped.Add(time.Second), Data: five(up(3, 1, 10), down(3, 2, 20))},
	}
	got, flows, delay := Compare(datagrams, sent, begin, stopped)
	if flows != 5 || got.Flows != 4 || got.Exact != 3 || got.Merged || got.Records != 8 {
		t.Errorf("%d flows, %+v", flows, got)
	}
	want := result.Delay{
		Flows: 2, Median: 10 * time.Second, P95: 10 * time.Second, Most: 10 * time.Second,
	}
	if delay == nil || *delay != want {
		t.Errorf("%+v, want %+v", delay, want)
	}
}

// TestCompareMerged: a program that adds both directions up is right in sum.
func TestCompareMerged(t *testing.T) {
	sent := traffic.NewLedger(1)
	sent.Flows[0] = traffic.Account{
		Up: traffic.Sum{Packets: 1, Bytes: 10}, Down: traffic.Sum{Packets: 2, Bytes: 20},
	}
	got, _, delay := Compare([]Datagram{{At: time.Unix(9, 0), Data: five(up(0, 3, 30))}}, sent,
		time.Unix(1, 0), time.Unix(5, 0))
	if !got.Merged || got.Exact != 1 || delay != nil {
		t.Errorf("%+v, %v", got, delay)
	}
}

package export

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow"
)

// FuzzEncoder encodes records of any values, with a clock that is set once: the messages have the
// right size and hold all records.
func FuzzEncoder(f *testing.F) {
	var seed bytes.Buffer
	for _, r := range samples(present) {
		if err := binary.Write(&seed, binary.BigEndian, &r); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(present, int64(0), uint16(DefaultMessageSize), seed.Bytes())
	f.Add(present, int64(-1)<<62, uint16(0), bytes.Repeat(seed.Bytes(), 4))
	f.Add(int64(0), present, uint16(65535), bytes.Repeat(seed.Bytes(), 20))
	f.Fuzz(func(t *testing.T, now, step int64, limit uint16, data []byte) {
		records := recordsFrom(data)
		half := len(records) / 2
		for _, p := range protocols {
			e := NewEncoder(p, goldenDomain, int(limit), RecordOptions{})
			messages := packTemplates(e, now)
			messages = append(messages, fuzzPack(t, e, records[:half], now)...)
			messages = append(messages, fuzzPack(t, e, records[half:], now+step)...)
			messages = append(messages, fuzzFinish(t, e, now+step))
			checkFuzzed(t, p, messages, records)
		}
	})
}

// recordsFrom makes records of data, with any values except for booleans.
func recordsFrom(data []byte) (records []flow.Record) {
	for r := (flow.Record{}); ; records = append(records, r) {
		n, err := binary.Decode(data, binary.BigEndian, &r)
		if err != nil {
			return records
		}
		data, r.NAT = data[n:], 0
	}
}

// fuzzPack encodes records and doesn't finish the last message, so that the clock may be set while
// it fills.
func fuzzPack(t *testing.T, e *Encoder, records []flow.Record, now int64) (messages [][]byte) {
	t.Helper()
	for i := range records {
		if e.Add(&records[i], now) {
			continue
		}
		messages = append(messages, fuzzFinish(t, e, now))
		if !e.Add(&records[i], now) {
			t.Fatal("an empty message has no room for a record")
		}
	}
	return messages
}

func fuzzFinish(t *testing.T, e *Encoder, now int64) []byte {
	t.Helper()
	b := e.Finish(now)
	if len(b) > e.limit {
		t.Fatalf("%d octets, at most %d are allowed", len(b), e.limit)
	}
	return slices.Clone(b)
}

func checkFuzzed(t *testing.T, p Protocol, messages [][]byte, records []flow.Record) {
	t.Helper()
	flows := flowsIn(t, messages)
	if len(flows) != len(records) {
		t.Fatalf("%s: %d flows of %d records", p, len(flows), len(records))
	}
	for i := range flows {
		want := wantFlow(p, goldenDomain, &records[i])
		sameButTimes(t, flows[i], want)
	}
	for _, b := range messages {
		checkSets(t, walk(t, b))
	}
}

// sameButTimes compares the values that any record must keep. Times need a sane clock; IPv4 keeps
// only the last four octets of an address; package decode takes a translation to :: for none.
func sameButTimes(t *testing.T, got, want decode.Flow) {
	t.Helper()
	want.Start, want.End = got.Start, got.End
	if want.Template&v6Bit == 0 {
		want.Src, want.Dst, want.PostSrc, want.PostDst = got.Src, got.Dst, got.PostSrc, got.PostDst
	}
	for _, f := range []*decode.Flow{&got, &want} {
		f.Src, f.Dst = plain(f.Src), plain(f.Dst)
		f.PostSrc, f.PostDst = plain(f.PostSrc), plain(f.PostDst)
	}
	if got != want {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

func plain(a netip.Addr) netip.Addr {
	if a = a.Unmap(); a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

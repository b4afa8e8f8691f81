package export

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/conntally/conntally/flow"
)

// mixed is n records whose kinds come in runs and at random.
func mixed(rnd *rand.Rand, n int, now int64) []flow.Record {
	records := make([]flow.Record, n)
	kind := 0
	for i := range records {
		if rnd.IntN(3) == 0 {
			kind = rnd.IntN(templateCount)
		}
		records[i] = random(rnd, kind, now)
	}
	return records
}

// packPreamble begins a message with the preamble, and returns those ahead of it.
func packPreamble(e *Encoder, now int64) (messages [][]byte) {
	for !e.AddTemplates(now) {
		messages = append(messages, slices.Clone(e.Finish(now)))
	}
	return messages
}

// pack encodes the preamble and records, and checks each message's size: what it
// lacks up to the limit is less than the next record could have used.
func pack(t testing.TB, e *Encoder, records []flow.Record, now int64) (messages [][]byte) {
	t.Helper()
	messages = packPreamble(e, now)
	for i := range records {
		r := &records[i]
		if e.Add(r, now) {
			continue
		}
		b := slices.Clone(e.Finish(now))
		messages = append(messages, b)
		if room := e.limit - len(b); room < 0 ||
			room >= wantSize(e.protocol, wantTemplate(r))+setHeaderLen+2*3 {
			t.Fatalf("a message has %d octets of %d, though a record of template %d follows",
				len(b), e.limit, wantTemplate(r))
		}
		if !e.Add(r, now) {
			t.Fatal("an empty message has no room for a record")
		}
	}
	last := slices.Clone(e.Finish(now))
	if len(last) > e.limit {
		t.Fatalf("a message has %d octets of %d", len(last), e.limit)
	}
	return append(messages, last)
}

package export

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/conntally/conntally/flow"
)

// mixed returns n records; some neighbours are of the same kind.
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

// packTemplates begins a message with the templates, and returns the messages that they filled.
func packTemplates(e *Encoder, now int64) (messages [][]byte) {
	for !e.AddTemplates(now) {
		messages = append(messages, slices.Clone(e.Finish(now)))
	}
	return messages
}

// pack encodes templates and records, and checks each message's size: the next record didn't fit.
func pack(t testing.TB, e *Encoder, records []flow.Record, now int64) (messages [][]byte) {
	t.Helper()
	messages = packTemplates(e, now)
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

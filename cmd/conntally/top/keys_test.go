package top

import (
	"slices"
	"testing"
)

// TestKeysOfTerminals: what terminals send, in one part and byte by byte.
func TestKeysOfTerminals(t *testing.T) {
	for _, c := range []struct {
		sent string
		want []Key
	}{
		{"q", []Key{'q'}},
		{"jk", []Key{'j', 'k'}},
		{"é冷", []Key{'é', '冷'}},
		{"\r\n\x7f\x08", []Key{KeyEnter, KeyEnter, KeyBackspace, KeyBackspace}},
		{"\x1b[A\x1b[B\x1b[C\x1b[D", []Key{KeyUp, KeyDown, KeyRight, KeyLeft}},
		{"\x1bOA\x1bOB\x1bOH\x1bOF", []Key{KeyUp, KeyDown, KeyHome, KeyEnd}},
		{"\x1b[5~\x1b[6~\x1b[1~\x1b[4~", []Key{KeyPageUp, KeyPageDown, KeyHome, KeyEnd}},
		{"\x1b[1;5A", []Key{KeyUp}}, // with Ctrl
		{"\x1b[15~q", []Key{KeyUnknown, 'q'}},
		{"\x1b\x1b[A", []Key{KeyEscape, KeyUp}},
		{"\x1bd", []Key{KeyEscape, 'd'}},
		{"\x03\x04\x1a\x0c", []Key{KeyInterrupt, KeyEndOfFile, KeySuspend, KeyRedraw}},
		{"\xffq", []Key{KeyUnknown, 'q'}},
		{"\x1b[\x03", []Key{KeyUnknown, KeyInterrupt}},
	} {
		var whole, parts keyParser
		if got := whole.Feed([]byte(c.sent)); !slices.Equal(got, c.want) {
			t.Errorf("%q: %d, want %d", c.sent, got, c.want)
		}
		var got []Key
		for i := range len(c.sent) {
			got = append(got, parts.Feed([]byte{c.sent[i]})...)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q, byte by byte: %d, want %d", c.sent, got, c.want)
		}
	}
}

// TestUnfinishedSequencesEnd: Escape is a key if nothing follows it, and no sequence is endless.
func TestUnfinishedSequencesEnd(t *testing.T) {
	var p keyParser
	if got := p.Feed([]byte{0x1b}); len(got) > 0 || !p.Waiting() {
		t.Errorf("at once: %d", got)
	}
	if got := p.Flush(); !slices.Equal(got, []Key{KeyEscape}) || p.Waiting() {
		t.Errorf("later: %d", got)
	}
	p.Feed([]byte("\x1b[1"))
	if got := p.Flush(); !slices.Equal(got, []Key{KeyUnknown}) {
		t.Errorf("half a sequence: %d", got)
	}
	p.Feed([]byte("\x1b["))
	for range 1000 {
		p.Feed([]byte("1"))
		if len(p.pending) > maxSequence {
			t.Fatalf("%d bytes are waiting", len(p.pending))
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("\x1b[1;5A\x1bOAq"), 3)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		var p keyParser
		cut = max(0, min(cut, len(b)))
		p.Feed(b[:cut])
		p.Feed(b[cut:])
		p.Flush()
		if p.Waiting() {
			t.Errorf("%q is still waiting", p.pending)
		}
	})
}

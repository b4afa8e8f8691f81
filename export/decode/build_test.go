package decode_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/export/decode"
)

// Times of the test flows: the header's second, and a start and an end to the millisecond before
// it.
const (
	exported = 1_750_000_000
	uptime   = 10_000_000 // ms, v9
	domain   = 7
)

func startTime() time.Time { return time.UnixMilli(exported*1000 - 61_234).UTC() }
func endTime() time.Time   { return time.UnixMilli(exported*1000 - 1_111).UTC() }

func exporter() netip.AddrPort { return netip.MustParseAddrPort("192.0.2.1:40000") }

// be is n in size bytes, big-endian.
func be(n uint64, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[size-1-i] = byte(n >> (8 * i))
	}
	return b
}

func u8(n uint8) []byte      { return be(uint64(n), 1) }
func u16(n uint16) []byte    { return be(uint64(n), 2) }
func u32(n uint32) []byte    { return be(uint64(n), 4) }
func u64(n uint64) []byte    { return be(n, 8) }
func ip(s string) []byte     { return netip.MustParseAddr(s).AsSlice() }
func zero(n int) []byte      { return make([]byte, n) }
func cat(p ...[]byte) []byte { return slices.Concat(p...) }

// words is any sequence of 16-bit numbers.
func words(n ...uint16) (b []byte) {
	for _, w := range n {
		b = append(b, u16(w)...)
	}
	return b
}

// setOf is a set or FlowSet whose length is right.
func setOf(id uint16, content ...[]byte) []byte {
	body := cat(content...)
	return cat(words(id, uint16(4+len(body))), body)
}

// template is a template record; specifiers are pairs of element and length.
func template(id uint16, specifiers ...uint16) []byte {
	return cat(words(id, uint16(len(specifiers)/2)), words(specifiers...))
}

// ipfixOptions is an IPFIX options template record with one scope field.
func ipfixOptions(id uint16, specifiers ...uint16) []byte {
	return cat(words(id, uint16(len(specifiers)/2), 1), words(specifiers...))
}

// netflow9Options is a v9 options template record with one scope field.
func netflow9Options(id uint16, specifiers ...uint16) []byte {
	return cat(words(id, 4, uint16(len(specifiers)*2-4)), words(specifiers...))
}

func ipfixMessage(sequence uint32, sets ...[]byte) []byte {
	body := cat(sets...)
	return cat(words(10, uint16(16+len(body))), u32(exported), u32(sequence), u32(domain), body)
}

// netflow9Message returns a message whose header counts one record, which a decoder must not trust.
func netflow9Message(sequence uint32, sets ...[]byte) []byte {
	return cat(words(9, 1), u32(uptime), u32(exported), u32(sequence), u32(domain), cat(sets...))
}

// message is the builder for a version.
func message(version uint16) func(sequence uint32, sets ...[]byte) []byte {
	if version == 9 {
		return netflow9Message
	}
	return ipfixMessage
}

// templateSetID is where templates go in a version.
func templateSetID(version uint16) uint16 {
	if version == 9 {
		return 0
	}
	return 2
}

// small is a template of one source port and one packet counter, and smallRecord a record of it.
func small(id uint16) []byte          { return template(id, 7, 2, 2, 4) }
func smallRecord(port uint16) []byte  { return cat(u16(port), u32(1)) }
func smallSet(ports ...uint16) []byte { return setOf(300, smallRecords(ports...)) }

func smallRecords(ports ...uint16) (b []byte) {
	for _, p := range ports {
		b = append(b, smallRecord(p)...)
	}
	return b
}

// decodeAll feeds datagrams that must be faultless into a new Decoder and returns what the last one
// said.
func decodeAll(t *testing.T, datagrams ...[]byte) (last decode.Message) {
	t.Helper()
	d := decode.New(decode.Options{})
	for i, b := range datagrams {
		var err error
		if last, err = d.Decode(b, exporter()); err != nil {
			t.Fatalf("datagram %d: %v", i, err)
		}
	}
	return last
}

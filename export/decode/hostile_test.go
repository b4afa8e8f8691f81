package decode_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/conntally/conntally/export/decode"
)

// A hostileCase is a datagram, words of the error it must give (none: it is harmless) and the flows
// it yields nevertheless.
type hostileCase struct {
	name     string
	datagram []byte
	want     string
	flows    int
}

func hostileCases() []hostileCase {
	return slices.Concat(hostileHeaders(), hostileSets(9), hostileSets(10), hostileOptions(),
		hostileIPFIX())
}

func hostileHeaders() []hostileCase {
	wrongLength := func(n uint16) []byte {
		b := ipfixMessage(0, setOf(2, small(300)))
		copy(b[2:], u16(n))
		return b
	}
	return []hostileCase{
		{"empty", nil, "no header", 0},
		{"one byte", []byte{9}, "no header", 0},
		{"v9 header cut off", netflow9Message(0)[:19], "header", 0},
		{"IPFIX header cut off", ipfixMessage(0)[:15], "header", 0},
		{"NetFlow v5", cat(words(5, 1), zero(68)), "NetFlow v5", 0},
		{"sFlow", cat(u32(5), zero(40)), "sFlow v5", 0},
		{"version 11", cat(words(11), zero(40)), "version 11", 0},
		{"text", []byte("GET / HTTP/1.1\r\n\r\n"), "version", 0},
		{"IPFIX length 0", wrongLength(0), "message length 0", 0},
		{"IPFIX length past the end", wrongLength(1400), "message length 1400", 0},
		{"IPFIX length short of the end", wrongLength(16), "message length 16", 0},
	}
}

// hostileSets are the same in both versions; a good template and a data set of one record stand
// before the bad set.
func hostileSets(version uint16) []hostileCase {
	build, templates := message(version), templateSetID(version)
	after := func(bad ...[]byte) []byte {
		return build(0, append([][]byte{setOf(templates, small(300)), smallSet(80)}, bad...)...)
	}
	cases := []hostileCase{
		{"set length 0", after(words(300, 0)), "length 0", 1},
		{"set length 3", after(words(300, 3)), "length 3", 1},
		{"set length past the end", after(words(300, 50), zero(6)), "length 50", 1},
		{"set header cut off", after(words(300)), "no set header", 1},
		{"reserved set, then a good one", after(setOf(100, zero(8)), smallSet(81)), "reserved", 2},
		{"65535 fields", after(setOf(templates, words(301, 65535)), smallSet(81)), "65535 fields",
			2},
		{"257 fields", after(setOf(templates, words(301, 257), zero(257*4))), "257 fields", 1},
		{"16000 times 65535 fields",
			after(setOf(templates, slices.Repeat(words(301, 65535), 16000))), "65535 fields", 1},
		{"specifier cut off", after(setOf(templates, words(301, 2, 7, 2, 11))), "2 fields", 1},
		{"template of length 0", after(setOf(templates, template(301, 7, 0)), setOf(301, zero(8))),
			"record of 0 bytes", 1},
		{"empty fields",
			after(setOf(templates, template(301, 7, 1, 11, 0, 4, 0)), setOf(301, zero(60000))),
			"record of 1 bytes", 1},
		{"record longer than a datagram",
			after(setOf(templates, template(301, 7, 40000, 11, 25537)), setOf(301, zero(8))),
			"record of 65537", 1},
		{"template id 255", after(setOf(templates, template(255, 7, 2))), "reserved", 1},
		{"data without template", after(setOf(999, zero(60000))), "not seen", 1},
		{"set of its header alone", after(setOf(300)), "", 1},
		{"record cut off", after(setOf(300, zero(5))), "", 1},
	}
	for i := range cases {
		cases[i].name = fmt.Sprintf("%s, version %d", cases[i].name, version)
	}
	return cases
}

func hostileOptions() []hostileCase {
	return []hostileCase{
		{"v9 template without fields, and data",
			netflow9Message(0, setOf(0, template(300)), smallSet(1)), "0 fields", 0},
		{"v9 variable length", netflow9Message(0, setOf(0, template(300, 7, 65535)), smallSet(1)),
			"variable length", 0},
		{"v9 options without fields, and data",
			netflow9Message(0, setOf(1, words(300, 0, 0)), smallSet(1)), "0 fields", 0},
		{"v9 options of 65532 bytes", netflow9Message(0, setOf(1, words(300, 65532, 65532))),
			"fields declared", 0},
		{"v9 odd scope length", netflow9Message(0, setOf(1, words(300, 3, 4), zero(8))),
			"scope length 3", 0},
		{"v9 options header cut off", netflow9Message(0, setOf(1, words(300, 4))), "cut off", 0},
		{"IPFIX scope past the fields", ipfixMessage(0, setOf(3, words(300, 1, 2, 149, 4, 34, 4))),
			"2 scope fields of 1", 0},
		{"IPFIX no scope", ipfixMessage(0, setOf(3, words(300, 1, 0, 34, 4))), "0 scope fields", 0},
		{"IPFIX options header cut off", ipfixMessage(0, setOf(3, words(300, 1))), "cut off", 0},
		{"IPFIX options of 65535 fields", ipfixMessage(0, setOf(3, words(300, 65535, 65535))),
			"65535 fields", 0},
	}
}

func hostileIPFIX() []hostileCase {
	names := setOf(2, template(300, 82, 65535))
	return []hostileCase{
		{"withdrawal, and data",
			ipfixMessage(0, setOf(2, small(300)), setOf(2, template(300)), smallSet(1)), "", 1},
		{"withdrawal of all",
			ipfixMessage(0, setOf(2, small(300)), setOf(2, words(2, 0), words(3, 0)), smallSet(1)),
			"", 1},
		{"options withdrawal", ipfixMessage(0, setOf(3, words(300, 0))), "", 0},
		{"enterprise number cut off", ipfixMessage(0, setOf(2, words(300, 1, 0x8001, 4))),
			"enterprise number", 0},
		{"variable length past the end", ipfixMessage(0, names, setOf(300, u8(200), zero(3))),
			"data set 300", 0},
		{"long length past the end", ipfixMessage(0, names, setOf(300, u8(255), u16(65535))),
			"data set 300", 0},
		{"long length cut off", ipfixMessage(0, names, setOf(300, u8(255), u8(1))), "data set 300",
			0},
		{"empty names", ipfixMessage(0, names, setOf(300, zero(6000))), "", 6000},
	}
}

func TestHostile(t *testing.T) {
	for _, c := range hostileCases() {
		t.Run(c.name, func(t *testing.T) {
			d := decode.New(decode.Options{})
			m, err := d.Decode(c.datagram, exporter())
			switch {
			case c.want == "" && err != nil:
				t.Errorf("error %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if len(m.Flows) != c.flows {
				t.Errorf("%d flows, want %d", len(m.Flows), c.flows)
			}
			refused := uint64(0)
			if err != nil && !errors.Is(err, decode.ErrUnknownTemplate) {
				refused = 1
			}
			if d.Counters().Refused != refused {
				t.Errorf("%d refused, want %d", d.Counters().Refused, refused)
			}
		})
	}
}

// A bad datagram takes nothing from what was learned before, and twenty cost memory in proportion
// to their length.
func TestHostileInARow(t *testing.T) {
	const perByte, fixed = 1000, 16 << 10
	for _, c := range hostileCases() {
		t.Run(c.name, func(t *testing.T) {
			d := decode.New(decode.Options{})
			learnGood(t, d)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range 20 {
				_, _ = d.Decode(c.datagram, exporter())
			}
			runtime.ReadMemStats(&after)
			limit := uint64(20 * (fixed + perByte*len(c.datagram)))
			if got := after.TotalAlloc - before.TotalAlloc; got > limit {
				t.Errorf("%d bytes allocated for %d of input, limit %d",
					got, 20*len(c.datagram), limit)
			}
			checkGood(t, d)
		})
	}
}

func learnGood(t *testing.T, d *decode.Decoder) {
	t.Helper()
	for _, version := range []uint16{9, 10} {
		if _, err := d.Decode(
			message(version)(0, setOf(templateSetID(version), small(400))), exporter(),
		); err != nil {
			t.Fatal(err)
		}
	}
}

func checkGood(t *testing.T, d *decode.Decoder) {
	t.Helper()
	for _, version := range []uint16{9, 10} {
		m, err := d.Decode(message(version)(0, setOf(400, smallRecord(80))), exporter())
		if err != nil || len(m.Flows) != 1 {
			t.Errorf("version %d afterwards: %+v, %v", version, m, err)
		}
	}
}

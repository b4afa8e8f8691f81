package decode_test

import (
	"testing"

	"github.com/conntally/conntally/export/decode"
)

// FuzzDecode feeds two datagrams into one Decoder, the first again at the end, so that templates of
// one meet data of the other.
func FuzzDecode(f *testing.F) {
	for _, version := range []uint16{9, 10} {
		sets, _ := ourSets(version)
		f.Add(message(version)(0, sets[:2]...), message(version)(1, sets[2:]...))
		f.Add(message(version)(0, setOf(templateSetID(version), small(300))),
			message(version)(1, smallSet(1, 2, 3)))
	}
	for _, c := range hostileCases() {
		if len(c.datagram) < 4096 {
			f.Add(c.datagram,
				ipfixMessage(0, setOf(2, template(300, 82, 65535, 0x8001, 4, 0, 1)),
					setOf(300, zero(64))))
		}
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		d := decode.New(decode.Options{MaxExporters: 2, MaxTemplates: 4})
		for _, b := range [][]byte{first, second, first} {
			m, err := d.Decode(b, exporter())
			if len(m.Flows)+m.OptionRecords > len(b) {
				t.Fatalf("%d flows and %d option records from %d bytes",
					len(m.Flows), m.OptionRecords, len(b))
			}
			if err == nil && m.Version == 0 {
				t.Fatal("no version and no error")
			}
		}
		checkBounded(t, d)
		fuzzHeld(t, first, second)
	})
}

// fuzzHeld is FuzzDecode with data that may wait for its template.
func fuzzHeld(t *testing.T, first, second []byte) {
	const most = 1 << 12
	d := decode.New(decode.Options{MaxExporters: 2, MaxTemplates: 4, MaxHeld: most})
	for _, b := range [][]byte{first, second, first} {
		m, _ := d.Decode(b, exporter())
		if n := len(m.Flows) + m.OptionRecords; n > len(b)+most || m.Recovered > most {
			t.Fatalf("%d flows from %d bytes, %d recovered", n, len(b), m.Recovered)
		}
	}
	d.DropHeld()
	if again := d.DropHeld(); again != nil {
		t.Fatalf("dropped twice: %+v", again)
	}
	checkBounded(t, d)
}

func checkBounded(t *testing.T, d *decode.Decoder) {
	t.Helper()
	sources := d.Sources()
	if len(sources) > 2 {
		t.Fatalf("%d sources", len(sources))
	}
	for _, s := range sources {
		if s.Templates > 4 {
			t.Fatalf("%d templates", s.Templates)
		}
	}
}

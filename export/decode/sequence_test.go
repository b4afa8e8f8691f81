package decode_test

import (
	"fmt"
	"testing"

	"github.com/conntally/conntally/export/decode"
)

// A step is one message: its number, how many data records it has, and the expected result.
type step struct {
	sequence uint32
	records  int
	missed   uint32
	late     bool
}

func TestSequence(t *testing.T) {
	cases := []struct {
		name    string
		version uint16
		steps   []step
	}{
		{"IPFIX counts records", 10,
			[]step{{100, 2, 0, false}, {102, 3, 0, false}, {105, 1, 0, false}}},
		{"v9 counts datagrams", 9,
			[]step{{100, 2, 0, false}, {101, 3, 0, false}, {102, 1, 0, false}}},
		{"IPFIX gap", 10, []step{{0, 2, 0, false}, {12, 1, 10, false}, {13, 1, 0, false}}},
		{"v9 gap", 9, []step{{0, 2, 0, false}, {3, 1, 2, false}, {4, 1, 0, false}}},
		{"IPFIX wrap", 10, []step{{0xffffffff, 2, 0, false}, {1, 1, 0, false}}},
		{"IPFIX gap across the wrap", 10, []step{{0xfffffffe, 1, 0, false}, {4, 1, 5, false}}},
		{"v9 wrap", 9, []step{{0xffffffff, 1, 0, false}, {0, 1, 0, false}, {2, 1, 1, false}}},
		{"late", 10, []step{{0, 2, 0, false}, {4, 2, 2, false}, {2, 2, 0, true}, {6, 1, 0, false}}},
		{"twice", 9, []step{{5, 1, 0, false}, {5, 1, 0, true}, {6, 1, 0, false}}},
		{"restart", 10,
			[]step{
				{5000, 2, 0, false}, {0, 2, 0, true}, {2, 2, 0, false}, {4, 1, 0, false}, {7, 1, 2,
					false},
			}},
		// As softflowd counts.
		{"itself, from the start", 10,
			[]step{{2, 2, 0, false}, {3, 1, 0, false}, {8, 5, 0, false}, {12, 2, 2, false},
				{13, 1, 0, false}}},
		{"itself, joined later", 10,
			[]step{{102, 2, 0, false}, {107, 5, 3, false}, {108, 1, 0, false}, {113, 5, 0, false},
				{117, 2, 2, false}}},
		{"a gap of as many as that", 10,
			[]step{{100, 2, 0, false}, {105, 5, 3, false}, {110, 1, 0, false}, {111, 4, 0, false},
				{115, 9, 0, false}, {129, 1, 5, false}}},
		{"templates alone", 10, []step{{0, 2, 0, false}, {2, 0, 0, false}, {2, 2, 0, false}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := decode.New(decode.Options{})
			for i, s := range c.steps {
				b := message(c.version)(s.sequence, setOf(templateSetID(c.version), small(300)),
					smallSet(make([]uint16, s.records)...))
				m, err := d.Decode(b, exporter())
				if err != nil || m.Missed != s.missed || m.Late != s.late {
					t.Errorf("step %d: missed %d, late %v, error %v; want %+v",
						i, m.Missed, m.Late, err, s)
				}
			}
			checkMissed(t, d, c.version, c.steps)
		})
	}
}

// checkMissed compares the counters with the sum of the steps.
func checkMissed(t *testing.T, d *decode.Decoder, version uint16, steps []step) {
	t.Helper()
	var missed, late uint64
	for _, s := range steps {
		missed += uint64(s.missed)
		if s.late {
			late++
		}
	}
	c, source := d.Counters(), d.Sources()[0]
	inRecords, inDatagrams := missed, uint64(0)
	if version == 9 {
		inRecords, inDatagrams = 0, missed
	}
	if c.MissedRecords != inRecords || c.MissedDatagrams != inDatagrams || c.LateDatagrams != late {
		t.Errorf("counters %+v, want %d missed, %d late", c, missed, late)
	}
	if source.MissedUnits != missed || source.LateDatagrams != late ||
		source.Datagrams != uint64(len(steps)) {
		t.Errorf("source %+v, want %d missed, %d late", source, missed, late)
	}
}

// Option records count in IPFIX; a message with a set that can't be read leaves the next number
// unknown.
func TestSequenceOfOptionsAndUnknown(t *testing.T) {
	first := ipfixMessage(0, setOf(3, ipfixOptions(512, 149, 4, 34, 4)), setOf(2, small(300)),
		setOf(512, u32(domain), u32(64), u32(domain), u32(64)), smallSet(80))
	if m := decodeAll(t, first, ipfixMessage(3, smallSet(81))); m.Missed != 0 {
		t.Errorf("after options: %d missed", m.Missed)
	}
	d := decode.New(decode.Options{})
	for i, b := range [][]byte{
		first, ipfixMessage(3, setOf(999, zero(100))), ipfixMessage(90, smallSet(80)),
		ipfixMessage(93, smallSet(80)),
	} {
		m, _ := d.Decode(b, exporter())
		if want := []uint32{0, 0, 0, 2}[i]; m.Missed != want {
			t.Errorf("datagram %d: %d missed, want %d", i, m.Missed, want)
		}
	}
}

func TestBounds(t *testing.T) {
	d := decode.New(decode.Options{MaxExporters: 3, MaxTemplates: 4})
	for i := range uint32(100) {
		sets := []([]byte){}
		for id := range uint16(10) {
			sets = append(sets, setOf(2, small(300+id)))
		}
		b := ipfixMessage(0, sets...)
		copy(b[12:], u32(i))
		if _, err := d.Decode(b, exporter()); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(domains(d.Sources())); got != "[97 98 99]" {
		t.Errorf("remembered %s", got)
	}
	if c := d.Counters(); c.Evicted != 97 || d.Sources()[0].Templates != 4 {
		t.Errorf("%+v, %+v", c, d.Sources()[0])
	}
	b := ipfixMessage(0, setOf(308, smallRecord(1)), setOf(303, smallRecord(1)))
	copy(b[12:], u32(99))
	if m, _ := d.Decode(b, exporter()); len(m.Flows) != 1 || m.UnknownSets != 1 {
		t.Errorf("the newest templates stay: %+v", m)
	}
}

func domains(sources []decode.Source) (ids []uint32) {
	for _, s := range sources {
		ids = append(ids, s.Domain)
	}
	return ids
}

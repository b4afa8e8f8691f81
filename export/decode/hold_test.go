package decode_test

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/export/decode"
)

// ports returns the source ports of a message's flows.
func ports(m decode.Message) (all []uint16) {
	for _, f := range m.Flows {
		all = append(all, f.SrcPort)
	}
	return all
}

// Data that comes before its template is read once that comes, with the times of its own message.
func TestDataWaitsForItsTemplate(t *testing.T) {
	for _, version := range []uint16{9, 10} {
		d := decode.New(decode.Options{MaxHeld: 4000})
		build := message(version)
		step := uint32(2)
		if version == 9 {
			step = 1
		}
		for i := range uint32(2) {
			m, err := d.Decode(build(i*step, smallSet(uint16(i), 7)), exporter())
			if err != nil || len(m.Flows) != 0 || m.Held != int(i)+1 || m.DataRecords != 0 {
				t.Fatalf("version %d, before the template: %+v, %v", version, m, err)
			}
		}
		m, err := d.Decode(build(2*step, setOf(templateSetID(version), small(300)), smallSet(9)),
			exporter())
		if got := ports(m); err != nil || len(got) != 5 || got[0] != 0 || got[2] != 1 ||
			got[4] != 9 || m.Recovered != 4 || m.DataRecords != 1 || m.Held != 0 || m.Missed != 0 {
			t.Fatalf("version %d, with the template: %+v, %v", version, m, err)
		}
	}
}

// Only so much waits, and not for ever.
func TestHeldDataIsBounded(t *testing.T) {
	d := decode.New(decode.Options{MaxHeld: 400, MaxExporters: 3})
	from := func(n byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, n}), 1000)
	}
	var unknown, held int
	for i := range 20 {
		m, err := d.Decode(ipfixMessage(0, smallSet(1, 2)), from(1))
		if errors.Is(err, decode.ErrUnknownTemplate) != (m.UnknownSets > 0) {
			t.Fatalf("%d: %v", i, err)
		}
		unknown += m.UnknownSets
		held = m.Held
	}
	if held != 6 || unknown != 14 { // 100 bytes in sets of 16
		t.Errorf("%d held, %d skipped", held, unknown)
	}
	for n := range byte(10) { // those that never send a template displace nobody
		if _, err := d.Decode(ipfixMessage(0, smallSet(1)), from(n+2)); n > 2 && err == nil {
			t.Errorf("held though %d sources are remembered", n)
		}
	}
	later := ipfixMessage(0, smallSet(3))
	copy(later[4:], u32(exported+181))
	m, err := d.Decode(later, from(1))
	if err == nil || m.UnknownSets != 6 || m.Held != 1 {
		t.Errorf("after three minutes: %+v, %v", m, err)
	}
	m, _ = d.Decode(ipfixMessage(0, setOf(2, small(300))), from(1))
	if m.Recovered != 1 || len(m.Flows) != 1 {
		t.Errorf("with the template: %+v", m)
	}
}

// The records of a message are not many more than its bytes, whatever waited.
func TestHeldRecordsAreFew(t *testing.T) {
	d := decode.New(decode.Options{MaxHeld: 1 << 20})
	for range 4 {
		_, _ = d.Decode(ipfixMessage(0, setOf(300, make([]byte, 60000))), exporter())
	}
	m, _ := d.Decode(ipfixMessage(0, setOf(2, template(300, 4, 1))), exporter())
	if m.UnknownSets != 4 || len(m.Flows) != 0 {
		t.Errorf("%d flows of %d sets", len(m.Flows), m.UnknownSets)
	}
}

// What waits is given up after three minutes and at the end, also if its source sends nothing more
// or is displaced by others.
func TestHeldDataOfSilentSourcesExpires(t *testing.T) {
	const minute = int64(time.Minute)
	for _, version := range []uint16{9, 10} {
		d := decode.New(decode.Options{MaxHeld: 4000, MaxExporters: 2})
		build := message(version)
		_, _ = d.Decode(build(0, smallSet(1)), exporter())
		_, _ = d.Decode(build(1, smallSet(2)), exporter())
		for _, now := range []int64{0, 3 * minute} {
			if got := d.Expire(now); got != nil {
				t.Errorf("version %d, at %d: %+v", version, now, got)
			}
		}
		_, _ = d.Decode(build(2, smallSet(3)), exporter())
		want := []decode.Unknown{{Exporter: exporter(), Version: version, Domain: domain, Sets: 2}}
		if got := d.Expire(3*minute + 1); !slices.Equal(got, want) {
			t.Errorf("version %d, after three minutes: %+v", version, got)
		}
		want[0].Sets = 1
		if got := d.DropHeld(); !slices.Equal(got, want) {
			t.Errorf("version %d, at the end: %+v", version, got)
		}
		if got := d.DropHeld(); got != nil {
			t.Errorf("version %d, twice: %+v", version, got)
		}
		if n := d.Counters().UnknownSets; n != 3 {
			t.Errorf("version %d: %d counted", version, n)
		}
	}
}

func TestHeldDataOfDisplacedSourcesIsCounted(t *testing.T) {
	d := decode.New(decode.Options{MaxHeld: 4000, MaxExporters: 1})
	for i := range uint16(5) {
		from := netip.AddrPortFrom(exporter().Addr(), 1000+i)
		_, _ = d.Decode(ipfixMessage(0, setOf(2, small(301)), smallSet(1)), from)
	}
	sets := map[uint16]int{}
	for _, u := range d.Expire(0) {
		sets[u.Exporter.Port()] += u.Sets
	}
	if !maps.Equal(sets, map[uint16]int{1000: 1, 0: 3}) { // the latest one still waits
		t.Errorf("got %v", sets)
	}
}

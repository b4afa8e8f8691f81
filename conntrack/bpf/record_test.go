package bpf

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/conntally/conntally/conntrack"
)

// golden returns the records of testdata/records.hex, as a kernel 6.12 wrote them.
func golden(t testing.TB) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/records.hex")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		name, digits, found := strings.Cut(strings.TrimSpace(line), " ")
		b, err := hex.DecodeString(digits)
		if !found || err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[name] = b
	}
	return all
}

func addr(s string) conntrack.Addr { return conntrack.AddrFrom(netip.MustParseAddr(s)) }

const hz = 250

// TestGoldenRecordsDecode: each field of records that a real kernel wrote.
func TestGoldenRecordsDecode(t *testing.T) {
	records := golden(t)
	for name, want := range map[string]conntrack.Event{
		"tcp4": {
			Type: conntrack.Destroy, Zone: 0, ReplyZone: 0,
			Orig: conntrack.Tuple{
				Src: addr("192.168.77.10"), Dst: addr("198.51.100.20"),
				SrcPort: 50836, DstPort: 443, Family: 2, Proto: 6,
			},
			Reply: conntrack.Tuple{
				Src: addr("198.51.100.20"), Dst: addr("198.51.100.1"),
				SrcPort: 443, DstPort: 50836, Family: 2, Proto: 6,
			},
			Status: 0x39e, Mark: 0x0, Counted: true,
			Counters: [2]conntrack.Counters{{Packets: 7, Bytes: 1404}, {Packets: 6, Bytes: 20320}},
			Start:    1795998585647307897, Stop: 1795998586877941522,
			Timeout: 431998, HasTimeout: true, State: 3,
		},
		"udp6": {
			Type: conntrack.Destroy, Zone: 0, ReplyZone: 0,
			Orig: conntrack.Tuple{
				Src: addr("2001:db8:77::10"), Dst: addr("2001:db8:100::20"),
				SrcPort: 20002, DstPort: 53, Family: 10, Proto: 17,
			},
			Reply: conntrack.Tuple{
				Src: addr("2001:db8:100::20"), Dst: addr("2001:db8:77::10"),
				SrcPort: 53, DstPort: 20002, Family: 10, Proto: 17,
			},
			Status: 0x38a, Mark: 0x0, Counted: true,
			Counters: [2]conntrack.Counters{{Packets: 3, Bytes: 444}, {Packets: 3, Bytes: 444}},
			Start:    1795998586259963887, Stop: 1795998586878890605,
			Timeout: 599, HasTimeout: true, State: 0,
		},
		"icmp6": {
			Type: conntrack.Destroy, Zone: 0, ReplyZone: 0,
			Orig: conntrack.Tuple{
				Src: addr("2001:db8:77::10"), Dst: addr("2001:db8:100::20"),
				SrcPort: 2, DstPort: 32768, Family: 10, Proto: 58,
			},
			Reply: conntrack.Tuple{
				Src: addr("2001:db8:100::20"), Dst: addr("2001:db8:77::10"),
				SrcPort: 2, DstPort: 33024, Family: 10, Proto: 58,
			},
			Status: 0x38a, Mark: 0x0, Counted: true,
			Counters: [2]conntrack.Counters{{Packets: 2, Bytes: 208}, {Packets: 2, Bytes: 208}},
			Start:    1795998586595846732, Stop: 1795998586878164566,
			Timeout: 599, HasTimeout: true, State: 0,
		},
		"mark": {
			Type: conntrack.Destroy, Zone: 0, ReplyZone: 0,
			Orig: conntrack.Tuple{
				Src: addr("192.0.2.1"), Dst: addr("192.0.2.2"),
				SrcPort: 0, DstPort: 0, Family: 2, Proto: 99,
			},
			Reply: conntrack.Tuple{
				Src: addr("192.0.2.2"), Dst: addr("192.0.2.1"),
				SrcPort: 0, DstPort: 0, Family: 2, Proto: 99,
			},
			Status: 0x20e, Mark: 0xfeedbeef, Counted: true,
			Counters: [2]conntrack.Counters{{Packets: 0, Bytes: 0}, {Packets: 0, Bytes: 0}},
			Start:    1795998586792046806, Stop: 1795998586878118658,
			Timeout: 599, HasTimeout: true, State: 0,
		},
		"zone": {
			Type: conntrack.Destroy, Zone: 5, ReplyZone: 5,
			Orig: conntrack.Tuple{
				Src: addr("192.0.2.1"), Dst: addr("192.0.2.2"),
				SrcPort: 1111, DstPort: 2222, Family: 2, Proto: 17,
			},
			Reply: conntrack.Tuple{
				Src: addr("192.0.2.2"), Dst: addr("192.0.2.1"),
				SrcPort: 2222, DstPort: 1111, Family: 2, Proto: 17,
			},
			Status: 0x20e, Mark: 0x0, Counted: true,
			Counters: [2]conntrack.Counters{{Packets: 0, Bytes: 0}, {Packets: 0, Bytes: 0}},
			Start:    1795998586805593212, Stop: 1795998586878604502,
			Timeout: 599, HasTimeout: true, State: 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got conntrack.Event
			if !decode(records[name], hz, &got) {
				t.Fatal("refused")
			}
			if got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// TestZoneOfOneDirection: the other direction has zone 0.
func TestZoneOfOneDirection(t *testing.T) {
	b := golden(t)["tcp4"]
	binary.LittleEndian.PutUint16(b[atZone:], 9)
	for flags, want := range map[byte][2]uint16{
		0: {0, 0}, flagOriginalZone: {9, 0}, flagReplyZone: {0, 9},
		flagOriginalZone | flagReplyZone: {9, 9},
	} {
		b[atFlags] = flags
		var e conntrack.Event
		if !decode(b, hz, &e) || e.Zone != want[0] || e.ReplyZone != want[1] || e.Counted {
			t.Errorf("flags %#x: %+v", flags, e)
		}
	}
}

// TestFirstPacketIsDecoded: if the record has one, and nothing of it otherwise.
func TestFirstPacketIsDecoded(t *testing.T) {
	b := golden(t)["tcp4"]
	packet := b[atFirst : atFirst+packetSize]
	binary.LittleEndian.PutUint32(packet[0:], 3)
	binary.LittleEndian.PutUint32(packet[4:], 1<<30)
	copy(packet[8:], []byte{2, 1, 2, 3, 4, 5})
	binary.LittleEndian.PutUint16(packet[14:], 4094)
	packet[16] = 0xb8
	want := conntrack.FirstPacket{
		Known: true, Input: 3, Output: 1 << 30, MAC: [6]byte{2, 1, 2, 3, 4, 5}, VLAN: 4094,
		ToS: 0xb8,
	}
	var e conntrack.Event
	b[atFlags] |= flagFirst
	if !decode(b, hz, &e) || e.First != want {
		t.Errorf("%+v, want %+v", e.First, want)
	}
	b[atFlags] &^= flagFirst
	if !decode(b, hz, &e) || e.First != (conntrack.FirstPacket{}) {
		t.Errorf("%+v, want none", e.First)
	}
}

// TestTimeoutIsLikeNetlinks: whole seconds, and none for an entry that has expired.
func TestTimeoutIsLikeNetlinks(t *testing.T) {
	b := golden(t)["tcp4"]
	for _, c := range []struct {
		timeout, now uint32
		want         uint32
	}{
		{1000, 1000, 0}, {1249, 1000, 0}, {1250, 1000, 1}, {1000, 1250, 0}, {1000, 900_000, 0},
		{100, 1<<32 - 150, 1}, // jiffies wrap
		{1<<32 - 150, 100, 0},
	} {
		binary.LittleEndian.PutUint32(b[atTimeout:], c.timeout)
		binary.LittleEndian.PutUint32(b[atNow:], c.now)
		var e conntrack.Event
		if !decode(b, hz, &e) || e.Timeout != c.want || e.HasTimeout != (c.want > 0) {
			t.Errorf("%+v: timeout %v %d", c, e.HasTimeout, e.Timeout)
		}
	}
}

// TestOtherRecordsAreRefused: of another size or family.
func TestOtherRecordsAreRefused(t *testing.T) {
	good := golden(t)["udp6"]
	family := append([]byte(nil), good...)
	family[atFamily] = 99
	for name, b := range map[string][]byte{
		"empty": nil, "short": good[:recordSize-1], "long": append(good[:recordSize:recordSize], 0),
		"family": family, "zeroes": make([]byte, recordSize),
	} {
		var e conntrack.Event
		if decode(b, hz, &e) {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestIDsDiffer: between the two directions, ports, zones and families.
func TestIDsDiffer(t *testing.T) {
	base := conntrack.Event{Orig: conntrack.Tuple{
		Src: addr("192.0.2.1"), Dst: addr("192.0.2.2"), SrcPort: 1, DstPort: 2,
		Proto: conntrack.ProtoUDP,
	}}
	seen := map[uint32]string{idOf(&base): "base"}
	for name, change := range map[string]func(*conntrack.Event){
		"turned": func(e *conntrack.Event) { e.Orig.Src, e.Orig.Dst = e.Orig.Dst, e.Orig.Src },
		"ports": func(e *conntrack.Event) {
			e.Orig.SrcPort, e.Orig.DstPort = e.Orig.DstPort, e.Orig.SrcPort
		},
		"zone":   func(e *conntrack.Event) { e.Zone = 1 },
		"reply":  func(e *conntrack.Event) { e.ReplyZone = 1 },
		"proto":  func(e *conntrack.Event) { e.Orig.Proto = conntrack.ProtoTCP },
		"family": func(e *conntrack.Event) { e.Orig.Src = addr("2001:db8::1") },
	} {
		e := base
		change(&e)
		if other, again := seen[idOf(&e)]; again {
			t.Errorf("%s has the ID of %s", name, other)
		}
		seen[idOf(&e)] = name
	}
	same := base
	same.Counters[0].Packets, same.Start, same.ID = 9, 9, 9
	if idOf(&same) != idOf(&base) {
		t.Error("the ID changes during the life of an entry")
	}
}

// FuzzDecode: no bytes panic, and what is decoded is within its types.
func FuzzDecode(f *testing.F) {
	for _, b := range golden(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e conntrack.Event
		if decode(b, hz, &e) != (len(b) == recordSize && isFamily(b[atFamily:]) &&
			isFamily(b[tupleSize+atFamily:])) {
			t.Error("accepted or refused wrongly")
		}
		if e.HasTimeout != (e.Timeout > 0) {
			t.Errorf("timeout %v %d", e.HasTimeout, e.Timeout)
		}
	})
}

func isFamily(b []byte) bool {
	family := binary.LittleEndian.Uint16(b)
	return family == 2 || family == 10
}

//go:build amd64 || arm64 || riscv64

package bpf

import (
	"encoding/hex"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf/btf"

	"github.com/conntally/conntally/conntrack"
)

// golden returns the records of testdata/records.hex, as a kernel 6.12 would write them.
func golden(t testing.TB) map[string]record {
	t.Helper()
	text, err := os.ReadFile("testdata/records.hex")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]record{}
	for line := range strings.Lines(string(text)) {
		name, digits, found := strings.Cut(strings.TrimSpace(line), " ")
		b, err := hex.DecodeString(digits)
		if !found || err != nil || len(b) != recordSize {
			t.Fatalf("%q: %v", line, err)
		}
		all[name] = recordOf(b)
	}
	return all
}

// recordOf returns the record that the program has written as b.
func recordOf(b []byte) (r record) {
	copy(r.bytes(), b)
	return r
}

// bytes is r as the program writes it.
func (r *record) bytes() []byte { return unsafe.Slice((*byte)(unsafe.Pointer(r)), recordSize) }

// TestRecordIsLaidOutAsTheProgramWritesIt: each field of the C structure is that of the Go one.
func TestRecordIsLaidOutAsTheProgramWritesIt(t *testing.T) {
	var r record
	e := &r.event
	type place struct{ offset, size int }
	want := map[string]place{}
	for name, field := range map[string]any{
		"event.type": &e.Type, "event.counted": &e.Counted, "event.has_timeout": &e.HasTimeout,
		"event.once": &e.Once, "event.state": &e.State, "event.tcp_flags": &e.TCPFlags,
		"event.at": &e.At, "event.id": &e.ID, "event.status": &e.Status, "event.mark": &e.Mark,
		"event.timeout": &e.Timeout, "event.counters": &e.Counters,
		"event.stamps": (*[2]int64)(unsafe.Pointer(&e.Start)), "event.portid": &e.Portid,

		"event.orig.src": &e.Orig.Src, "event.orig.dst": &e.Orig.Dst,
		"event.orig.src_port": &e.Orig.SrcPort, "event.orig.dst_port": &e.Orig.DstPort,
		"event.orig.family": &e.Orig.Family, "event.orig.proto": &e.Orig.Proto,
		"event.orig.zone": &e.Zone,
		"event.reply.src": &e.Reply.Src, "event.reply.dst": &e.Reply.Dst,
		"event.reply.src_port": &e.Reply.SrcPort, "event.reply.dst_port": &e.Reply.DstPort,
		"event.reply.family": &e.Reply.Family, "event.reply.proto": &e.Reply.Proto,
		"event.reply.zone": &e.ReplyZone,

		"event.first.known": &e.First.Known, "event.first.tos": &e.First.ToS,
		"event.first.vlan": &e.First.VLAN, "event.first.mac": &e.First.MAC,
		"event.first.input": &e.First.Input, "event.first.output": &e.First.Output,

		"timeout": &r.timeout, "now": &r.now, "flags": &r.flags,
	} {
		v := reflect.ValueOf(field)
		want[name] = place{
			int(v.Pointer() - uintptr(unsafe.Pointer(&r))), int(v.Elem().Type().Size()),
		}
	}
	spec, err := loadEnds()
	must(t, err)
	var c *btf.Struct
	must(t, spec.Types.TypeByName("record", &c))
	if int(c.Size) != recordSize || unsafe.Offsetof(e.Stop) != unsafe.Offsetof(e.Start)+8 {
		t.Errorf("%d bytes, want %d", recordSize, c.Size)
	}
	got := map[string]place{}
	var walk func(prefix string, at int, s *btf.Struct)
	walk = func(prefix string, at int, s *btf.Struct) {
		for _, m := range s.Members {
			name, offset := prefix+m.Name, at+int(m.Offset.Bytes())
			if inner, is := btf.UnderlyingType(m.Type).(*btf.Struct); is {
				walk(name+".", offset, inner)
			} else if m.Name != "unused" {
				size, err := btf.Sizeof(m.Type)
				must(t, err)
				got[name] = place{offset, size}
			}
		}
	}
	walk("", 0, c)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the program's: %v\nGo's: %v", got, want)
	}
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
			r := records[name]
			var got conntrack.Event
			if !r.read(hz, &got) {
				t.Fatal("refused")
			}
			if want.ID = idOf(&want); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// TestTimeoutIsLikeNetlinks: whole seconds, and none for an entry that has expired.
func TestTimeoutIsLikeNetlinks(t *testing.T) {
	r := golden(t)["tcp4"]
	for _, c := range []struct {
		timeout, now uint32
		want         uint32
	}{
		{1000, 1000, 0}, {1249, 1000, 0}, {1250, 1000, 1}, {1000, 1250, 0}, {1000, 900_000, 0},
		{100, 1<<32 - 150, 1}, // jiffies wrap
		{1<<32 - 150, 100, 0},
	} {
		r.timeout, r.now = c.timeout, c.now
		var e conntrack.Event
		if !r.read(hz, &e) || e.Timeout != c.want || e.HasTimeout != (c.want > 0) {
			t.Errorf("%+v: timeout %v %d", c, e.HasTimeout, e.Timeout)
		}
	}
}

// TestOtherFamiliesAreRefused: in either direction.
func TestOtherFamiliesAreRefused(t *testing.T) {
	for _, change := range []func(*record){
		func(r *record) { r.event.Orig.Family = 99 }, func(r *record) { r.event.Reply.Family = 99 },
		func(r *record) { *r = record{} },
	} {
		r := golden(t)["udp6"]
		change(&r)
		if r.read(hz, new(conntrack.Event)) {
			t.Errorf("accepted: %+v", r)
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

// FuzzRead: no bytes panic, and what is read is within its types.
func FuzzRead(f *testing.F) {
	for _, r := range golden(f) {
		f.Add(r.bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e conntrack.Event
		r := recordOf(b)
		if r.read(hz, &e) != (isFamily(r.event.Orig.Family) && isFamily(r.event.Reply.Family)) {
			t.Error("accepted or refused wrongly")
		}
		r.event.HasTimeout, r.event.Timeout = false, 0 // as the program leaves them
		if r.read(hz, &e) && e.HasTimeout != (e.Timeout > 0) {
			t.Errorf("timeout %v %d", e.HasTimeout, e.Timeout)
		}
	})
}

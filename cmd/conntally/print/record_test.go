package print

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow"
)

// TestRecordIsPrintedAsExported: `conntally run` prints a record as `conntally listen` prints
// the exported one.
func TestRecordIsPrintedAsExported(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		r := randomRecord(rnd)
		var direct, exported bytes.Buffer
		New(&direct, false).record(&r)
		m := decoded(t, &r)
		New(&exported, false).Message(&m)
		if direct.String() != exported.String() {
			t.Fatalf("printed\n%swant\n%sof %+v", &direct, &exported, r)
		}
		var json, want bytes.Buffer
		New(&json, true).record(&r)
		m.Exporter = netip.AddrPort{}
		for i := range m.Flows {
			m.Flows[i].Exporter, m.Flows[i].Version, m.Flows[i].Template = netip.AddrPort{}, 0, 0
		}
		New(&want, true).Message(&m)
		by := `"interfaces_by":"routes",`
		if r.Seen {
			by = `"interfaces_by":"first packet",`
		}
		got := json.String() // of flows, with one value that is not exported
		if r.NAT == 0 && !strings.Contains(got, by) {
			t.Fatalf("%s lacks %s", got, by)
		}
		if got = strings.Replace(got, by, "", 1); got != want.String() {
			t.Fatalf("as JSON\n%swant\n%sof %+v", got, &want, r)
		}
	}
}

// decoded returns r as a collector decodes it.
func decoded(t *testing.T, r *flow.Record) decode.Message {
	t.Helper()
	optional := export.RecordOptions{NATEvents: true, FlowID: true, VLAN: true, MAC: true,
		Zone: true, Mark: true}
	e := export.NewEncoder(export.IPFIX, 1, 9000, optional)
	e.AddTemplates(r.End)
	if !e.Add(r, r.End) {
		t.Fatal("no room")
	}
	m, err := decode.New(decode.Options{}).Decode(e.Finish(r.End),
		netip.MustParseAddrPort("192.0.2.1:1"))
	if err != nil || len(m.Flows)+len(m.NATEvents) != 1 {
		t.Fatalf("decoded %+v, %v", m, err)
	}
	return m
}

func randomRecord(rnd *rand.Rand) flow.Record {
	v6 := rnd.IntN(2) == 0
	r := flow.Record{
		Family: unix.AF_INET, Proto: []uint8{1, 6, 17, 47, 132, 200}[rnd.IntN(6)],
		Src: randomAddress(rnd, v6), Dst: randomAddress(rnd, v6), SrcPort: uint16(rnd.Uint32()),
		DstPort:  uint16(rnd.Uint32()),
		TCPFlags: uint8(rnd.Uint32()), ToS: uint8(rnd.Uint32()), Seen: rnd.IntN(2) == 0,
		Packets: 1 + uint64(rnd.Uint32()), Bytes: rnd.Uint64(),
		End:       1_800_000_000_000_000_000 + rnd.Int64N(1e15),
		EndReason: flow.EndReason(1 + rnd.IntN(5)),
		Input:     rnd.Uint32(), Output: rnd.Uint32(), Egress: rnd.IntN(2) == 0, ID: rnd.Uint64(),
		InputVLAN: uint16(rnd.IntN(4096)), SrcMAC: [6]byte{2, 0, 0, 0, 0, 1},
		DstMAC:    [6]byte{2, 0, 0, 0, 0, 2},
		InputZone: uint16(rnd.Uint32()), OutputZone: uint16(rnd.Uint32()),
		Mark: rnd.Uint32(),
	}
	r.Start = r.End - rnd.Int64N(1e13)
	if v6 {
		r.Family = unix.AF_INET6
		if r.Proto == conntrack.ProtoICMP {
			r.Proto = conntrack.ProtoICMPv6
		}
	}
	if r.IsICMP() {
		r.SrcPort = 0
	}
	r.PostSrc, r.PostDst, r.PostSrcPort, r.PostDstPort = r.Src, r.Dst, r.SrcPort, r.DstPort
	if r.Translated = rnd.IntN(2) == 0; r.Translated {
		r.PostSrc = randomAddress(rnd, v6)
	}
	if rnd.IntN(5) == 0 {
		r.NAT, r.Translated, r.Packets, r.Bytes, r.Start = flow.NATEvent(1+rnd.IntN(2)), true, 0, 0,
			r.End
	}
	return r
}

func randomAddress(rnd *rand.Rand, v6 bool) conntrack.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], 0x20010db8<<32)
	binary.BigEndian.PutUint32(b[12:], 1<<24|rnd.Uint32())
	if v6 {
		return conntrack.AddrFrom(netip.AddrFrom16(b))
	}
	return conntrack.AddrFrom(netip.AddrFrom4([4]byte(b[12:])))
}

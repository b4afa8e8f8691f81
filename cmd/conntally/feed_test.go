package main

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
)

// feed exports connections that never were, by a clock of its own: what takes collectors days or
// needs thousands of records.
type feed struct {
	r        *rig
	exporter export.Exporter
	at       conntrack.Timestamp
	random   *rand.Rand
}

// feed opens a socket in the router for each collector.
func (r *rig) feed(collectors ...export.CollectorConfig) *feed {
	r.t.Helper()
	f := &feed{r: r, random: rand.New(rand.NewPCG(1, 2)),
		at: conntrack.Timestamp{Mono: int64(time.Hour), Wall: time.Now().Add(-time.Hour).UnixNano()}}
	f.exporter.Interfaces = householdInterfaces{}
	for _, config := range collectors {
		c := export.NewCollector(config, func() conntrack.Timestamp { return f.at })
		err := r.Router.Do(func() error { return c.Open(r.ctx) })
		if err != nil {
			r.t.Fatal(err)
		}
		f.exporter.Collectors = append(f.exporter.Collectors, c)
	}
	return f
}

type householdInterfaces struct{}

func (householdInterfaces) Interfaces() (all []flow.Interface, version uint32) {
	return []flow.Interface{{Index: 2, Name: "wan0"}, {Index: 3, Name: "br-lan"}}, 1
}

// send exports so many pairs of records, one each step of the clock.
func (f *feed) send(pairs int, step time.Duration) {
	f.r.t.Helper()
	for range pairs {
		f.at.Mono += int64(step)
		f.at.Wall += int64(step)
		f.exporter.Tick(f.r.ctx, f.at)
		p := f.connection()
		f.exporter.Export(&p)
	}
	f.exporter.Flush(f.at)
}

// connection is one of a household: half are DNS, a quarter is IPv6.
func (f *feed) connection() flow.Pair {
	up := flow.Record{Family: unix.AF_INET, Proto: unix.IPPROTO_TCP, TCPFlags: 0x1b, DstPort: 443,
		EndReason: flow.EndDetected, Input: 3, Output: 2, Egress: true, End: f.at.Wall, At: f.at}
	up.Packets = 5 + f.random.Uint64N(500)
	up.Bytes = up.Packets * (60 + f.random.Uint64N(100))
	answer, destination := up.Packets*(200+f.random.Uint64N(1200)), f.random.IntN(300)
	if f.random.IntN(2) == 0 {
		up.Proto, up.TCPFlags, up.DstPort, up.EndReason = unix.IPPROTO_UDP, 0, 53, flow.EndIdle
		up.Packets, up.Bytes = 1, 60+f.random.Uint64N(30)
		answer, destination = up.Bytes+f.random.Uint64N(200), destination%2
	}
	up.Start = up.End - f.random.Int64N(int64(time.Minute))
	up.SrcPort = uint16(32768 + f.random.IntN(28000))
	f.address(&up, byte(10+f.random.IntN(12)), destination)

	down := up
	down.Bytes = answer
	down.Src, down.Dst, down.SrcPort, down.DstPort = up.Dst, up.Src, up.DstPort, up.SrcPort
	down.Input, down.Output, down.Egress = up.Output, up.Input, false
	untranslated(&down)
	return flow.Pair{up, down}
}

// address fills in both ends; those of IPv4 are translated.
func (f *feed) address(r *flow.Record, host byte, destination int) {
	high, low := byte(destination>>8), byte(destination)
	if f.random.IntN(4) == 0 {
		r.Family = unix.AF_INET6
		r.Src = [16]byte{0x20, 1, 0xd, 0xb8, 1, 15: host}
		r.Dst = [16]byte{0x20, 1, 0xd, 0xb8, 2, 6: high, 7: low, 15: 1}
		untranslated(r)
		return
	}
	v4 := func(b ...byte) conntrack.Addr { return conntrack.AddrFrom(netip.AddrFrom4([4]byte(b))) }
	r.Src, r.Dst = v4(192, 168, 1, host), v4(203, 0, 112+high, low)
	untranslated(r)
	r.PostSrc, r.Translated = v4(198, 51, 100, 1), true
}

func untranslated(r *flow.Record) {
	r.PostSrc, r.PostDst, r.PostSrcPort, r.PostDstPort = r.Src, r.Dst, r.SrcPort, r.DstPort
	r.Translated = false
}

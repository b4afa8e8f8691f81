package ctnetlink_test

import (
	"testing"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

func TestAllocations(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func() func()
	}{
		{"Decode", decodeOne},
		{"Dump of 1000 entries",
			func() func() { return dumpOf(1000, func(conntrack.Key, *conntracktest.Kernel) {}) }},
		{"Dump of 1000 that move", func() func() {
			return dumpOf(1000, func(key conntrack.Key, k *conntracktest.Kernel) {
				k.Count(key, conntrack.Reply, 1, 100)
			})
		}},
		{"Wait for 100 ends", waitForHundred},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(20, c.prepare()); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func decodeOne() func() {
	e := tcpEntry()
	b := conntracktest.AppendAttributes(nil, &e)
	return func() {
		if err := ctnetlink.Decode(b, &e); err != nil {
			panic(err)
		}
	}
}

// dumpOf changes each entry, then dumps n of them.
func dumpOf(n int, change func(conntrack.Key, *conntracktest.Kernel)) func() {
	f := newFixture(n)
	entries := 0
	count := func(*conntrack.Event) { entries++ }
	return func() {
		for _, key := range f.keys {
			change(key, f.Kernel)
		}
		entries = 0
		if err := f.reader.Dump(count); err != nil || entries != n {
			panic(err)
		}
	}
}

func waitForHundred() func() {
	f := newFixture(0)
	end := message(ended(tcpEntry()))
	ends := 0
	count := func(*conntrack.Event) { ends++ }
	return func() {
		for range 100 {
			f.InjectEvent(end)
		}
		ends = 0
		if err := f.reader.Wait(0, count); err != nil || ends != 100 {
			panic(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct {
		name  string
		event conntrack.Event
	}{
		{"live", tcpEntry()},
		{"destroyed", ended(tcpEntry())},
		{"ipv6", plainEntry(tuple(conntrack.ProtoTCP, v6a, 1, v6b, 443))},
	} {
		b.Run(c.name, func(b *testing.B) {
			bytes := conntracktest.AppendAttributes(nil, &c.event)
			b.SetBytes(int64(len(bytes)))
			b.ReportAllocs()
			for b.Loop() {
				_ = ctnetlink.Decode(bytes, &c.event)
			}
		})
	}
}

// BenchmarkDump dumps 10000 entries of the fake kernel.
func BenchmarkDump(b *testing.B) {
	const n = 10000
	f := newFixture(n)
	nothing := func(*conntrack.Event) {}
	b.ReportAllocs()
	for b.Loop() {
		if err := f.reader.Dump(nothing); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
}

// BenchmarkWait reads 100 ends of the fake kernel.
func BenchmarkWait(b *testing.B) {
	run := waitForHundred()
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}

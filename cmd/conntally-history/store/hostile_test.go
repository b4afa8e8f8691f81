package store

import (
	"math"
	"net/netip"
	"strings"
	"testing"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

func addrs(texts ...string) (all []netip.Addr) {
	for _, a := range texts {
		all = append(all, netip.MustParseAddr(a))
	}
	return all
}

func TestHostileNamesAreTextAndNothingElse(t *testing.T) {
	s := openNew(t)
	names := []string{`'; DROP TABLE device; --`, `"quoted"`, "with\x00nul", "\xff\xfe not UTF-8",
		strings.Repeat("very long ", 100_000), "", "line\nbreak", "%s%n?1:device"}
	var want usage.Usage
	for _, name := range names {
		b := batchAt(s, noon(), name, 7)
		b.Devices[0].Name, b.Devices[0].MAC, b.Devices[0].Vendor = name, name, name
		for range 1000 {
			b.Devices[0].Addresses = append(b.Devices[0].Addresses, netip.MustParseAddr("192.0.2.1"))
		}
		b.Services = map[usage.ServiceHour]usage.Counters{{Hour: 1800, Unit: name}: {UpBytes: 1}}
		b.ServiceStates = []usage.ServiceState{{Unit: name, Invocation: name}}
		b.JournalCursor = name
		write(t, s, b)
		for _, u := range b.Hours {
			want.Add(u)
		}
	}
	if got := total(t, s); got != want {
		t.Error(got, "not", want)
	}
	state, err := s.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range state.Devices {
		if len(d.ID) > longest+3 || len(d.Name) > longest+3 || len(d.Addresses) > mostAddresses {
			t.Errorf("%d bytes of ID, %d of name, %d addresses", len(d.ID), len(d.Name),
				len(d.Addresses))
		}
	}
	for _, name := range names[:2] {
		d, found, err := s.Reader().Lookup(t.Context(), name)
		if err != nil || !found || d.ID != name {
			t.Errorf("%q: %+v, %v", name, d, err)
		}
		rows, err := s.Reader().Destinations(t.Context(), Span{From: day(s, noon()).From,
			To: day(s, noon()).To, Device: name})
		if err != nil || len(rows) != 2 {
			t.Errorf("%q: %d destinations, %v", name, len(rows), err)
		}
	}
	if err := check(t.Context(), s.db); err != nil {
		t.Error(err)
	}
}

// What others claim to have counted must not make every later write or report fail.
func TestHugeCountersDoNotOverflow(t *testing.T) {
	s := openNew(t)
	huge := usage.Counters{UpBytes: math.MaxUint64, DownBytes: math.MaxInt64, UpPackets: 1 << 53,
		DownPackets: 1 << 62}
	for n := range 30 {
		b := batchAt(s, noon().AddDate(0, 0, -n), "a", 1)
		for k := range b.Hours {
			b.Hours[k] = usage.Usage{WAN: huge, LAN: huge}
		}
		for k, u := range b.Destinations {
			u.Usage, u.UpContacts = usage.Usage{WAN: huge, LAN: huge}, math.MaxUint64
			b.Destinations[k] = u
		}
		for k := range b.Exporters {
			b.Exporters[k] = usage.Intake{Bytes: math.MaxUint64, MissingRecords: math.MaxUint64}
		}
		for k := range b.Services {
			b.Services[k] = huge
		}
		write(t, s, b, b, b)
	}
	if err := use(t.Context(), s); err != nil {
		t.Error(err)
	}
	prune(t, s, noon().AddDate(4, 0, 0))
	if err := use(t.Context(), s); err != nil {
		t.Error(err)
	}
	for _, view := range []string{"device", "destination", "service"} {
		if n := rows(t, s, "usage_by_"+view+"_day"); n == 0 && view != "destination" {
			t.Error(view, n)
		}
	}
}

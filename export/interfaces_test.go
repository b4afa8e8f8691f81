package export

import (
	"fmt"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow"
)

// numbered returns n interfaces, from index first on.
func numbered(first, n int) []flow.Interface {
	all := make([]flow.Interface, n)
	for i := range all {
		all[i] = flow.Interface{
			Index: uint32(first + i), Name: fmt.Sprint("eth0.", i),
			Description: fmt.Sprint("vlan ", i, " on eth0"),
		}
	}
	return all
}

// interfacesIn returns the interfaces that messages describe.
func interfacesIn(t *testing.T, messages [][]byte) (all []flow.Interface) {
	t.Helper()
	for _, m := range decodeAll(t, messages) {
		for _, i := range m.Interfaces {
			all = append(all,
				flow.Interface{Index: i.Index, Name: i.Name, Description: i.Description})
		}
	}
	return all
}

// fakeInterfaces are the interfaces of a test.
type fakeInterfaces struct {
	all     []flow.Interface
	version uint32
}

func (f *fakeInterfaces) Interfaces() ([]flow.Interface, uint32) { return f.all, f.version }

func (f *fakeInterfaces) set(all []flow.Interface) { f.all, f.version = all, f.version+1 }

// TestManyInterfaces proves that interfaces are spread over as many messages as they need, each
// record in a set of its own.
func TestManyInterfaces(t *testing.T) {
	want := numbered(3, 300)
	for _, p := range protocols {
		for _, limit := range []int{minMessage, DefaultMessageSize, 9000} {
			t.Run(fmt.Sprint(p, limit), func(t *testing.T) {
				e := NewEncoder(p, goldenDomain, limit, RecordOptions{})
				e.SetInterfaces(want)
				r := sample(0, present)
				messages := pack(t, e, []flow.Record{r}, present)
				for _, b := range messages {
					if len(b) > limit {
						t.Errorf("%d octets of %d", len(b), limit)
					}
					m := walk(t, b)
					checkSets(t, m)
					for _, s := range m.sets {
						if n, _ := recordsIn(p, s); s.id == interfaceOption && n != 1 {
							t.Errorf("%d records in a set", n)
						}
					}
				}
				checkSequence(t, 0, messages)
				if got := interfacesIn(t, messages); !slices.Equal(got, want) {
					t.Errorf("%d interfaces of %d, or others", len(got), len(want))
				}
				sameFlows(t, flowsIn(t, messages), wantFlows(p, goldenDomain, []flow.Record{r}))
				if least := 300 * 60 / limit; len(messages) < least || len(messages) > least*5/4+4 {
					t.Errorf("%d messages", len(messages))
				}
			})
		}
	}
}

// TestOnlyChangedInterfacesAreSentAtOnce, without templates.
func TestOnlyChangedInterfacesAreSentAtOnce(t *testing.T) {
	lan := flow.Interface{Index: 3, Name: "lan0", Description: "LAN"}
	wan := flow.Interface{Index: 4, Name: "wan0", Description: "WAN"}
	again, renamed, described := wan, wan, wan
	again.Index, renamed.Name, described.Description = 9, "ppp0", "DSL"
	for _, p := range protocols {
		clock, l := newFakeClock(), listen4(t)
		c, links := opened(t, p, l, clock), &fakeInterfaces{}
		e := &Exporter{Collectors: []*Collector{c}, Interfaces: links}
		r := sample(0, present)
		steps := []struct {
			all  []flow.Interface
			want []flow.Interface // sent at once
		}{
			{[]flow.Interface{lan, wan}, []flow.Interface{lan, wan}},
			{[]flow.Interface{lan, wan}, nil},
			{[]flow.Interface{lan, renamed}, []flow.Interface{renamed}},
			{[]flow.Interface{lan, described}, []flow.Interface{described}},
			{[]flow.Interface{lan}, nil},
			{[]flow.Interface{lan, again}, []flow.Interface{again}},
			{numbered(20, 100), numbered(20, 100)},
		}
		for i, s := range steps {
			links.set(s.all)
			exportAllNow(e, &r) // a message has begun
			e.Tick(t.Context(), clock.now())
			before := len(l.messages)
			l.receiveAll(t, c)
			got := interfacesIn(t, l.messages)[len(interfacesIn(t, l.messages[:before])):]
			if !slices.Equal(got, s.want) {
				t.Errorf("%s, step %d: sent %v, want %v", p, i, got, s.want)
			}
			withTemplates := func(b []byte) bool { return hasTemplates(t, p, b) }
			if i > 0 && slices.ContainsFunc(l.messages[before:], withTemplates) {
				t.Errorf("%s, step %d: templates came along", p, i)
			}
			if due := time.Duration(e.Due(1<<62) - clock.at.Mono); due <= 0 {
				t.Errorf("%s, step %d: still due", p, i)
			}
			clock.advance(time.Second)
		}
		drive(t, e, clock, time.Minute)
		before := len(l.messages)
		l.receiveAll(t, c)
		got := interfacesIn(t, l.messages)[len(interfacesIn(t, l.messages[:before])):]
		if !slices.Equal(got, numbered(20, 100)) {
			t.Errorf("%s: want all interfaces each minute, not %d", p, len(got))
		}
	}
}

// TestLateCollector proves that a collector that is added later is sent all interfaces.
func TestLateCollector(t *testing.T) {
	clock, links := newFakeClock(), &fakeInterfaces{}
	links.set(numbered(3, 2))
	e := &Exporter{Interfaces: links}
	e.Tick(t.Context(), clock.now())
	l := listen4(t)
	e.Collectors = append(e.Collectors, opened(t, IPFIX, l, clock))
	e.Tick(t.Context(), clock.now())
	if got := interfacesIn(t, l.receiveAll(t, e.Collectors[0])); len(got) != 2 {
		t.Errorf("interfaces %v", got)
	}
}

// TestInterfaceText proves that names are printable UTF-8, are cut between characters, and end with
// a NUL.
func TestInterfaceText(t *testing.T) {
	cases := map[string]string{
		"":                 "",
		"lan0":             "lan0",
		"fifteen-letters":  "fifteen-letters",
		"sixteen-letters!": "sixteen-letters",
		"Küchentürschloß":  "Küchentürschl", // ß would end behind the last octet but one
		"\xff\xfe":         "??",
		"tab\tand\x00nul":  "tab?and?nul",
		"日本語のインターフェース":     "日本語のイ",
	}
	for in, want := range cases {
		b := []byte("################")
		putText(b, in)
		got := string(b)
		for len(got) > 0 && got[len(got)-1] == 0 {
			got = got[:len(got)-1]
		}
		if got != want || b[len(b)-1] != 0 || !utf8.Valid(b) {
			t.Errorf("%q is %q, want %q", in, b, want)
		}
	}
}

// TestStatistics proves that they count what was sent before their own message.
func TestStatistics(t *testing.T) {
	for _, p := range protocols {
		clock, l := newFakeClock(), listen4(t)
		c := opened(t, p, l, clock)
		e := &Exporter{Collectors: []*Collector{c}}
		e.Tick(t.Context(), clock.now())
		r := sample(0, present)
		for range 100 {
			exportAllNow(e, &r)
		}
		e.Flush(clock.now())
		s := c.socket
		c.socket = nil // as while no collector is found
		lost := flowTotals{}
		for range 3 {
			exportAllNow(e, &r)
			lost.add(dataRecord{record: &r})
		}
		c.socket = s
		before := statistics{
			octets: c.Stats.Octets.Load(), messages: c.Stats.Messages.Load(), flows: 100,
			dropped: lost,
		}
		drive(t, e, clock, 61*time.Second)
		messages := l.receiveAll(t, c)
		first, last := statisticsIn(t, messages[0]), statisticsIn(t, messages[len(messages)-1])
		if first != (statistics{}) || last != before || before.octets == 0 || lost.packets == 0 {
			t.Errorf("%s: at first %+v, then %+v, want %+v", p, first, last, before)
		}
	}
}

// statisticsIn reads the record of template 514 in a message.
func statisticsIn(t *testing.T, b []byte) statistics {
	t.Helper()
	for _, s := range walk(t, b).sets {
		if s.id == 514 {
			var v [6]uint64
			for i := range v {
				v[i] = be.Uint64(s.content[4+8*i:])
			}
			return statistics{v[0], v[1], v[2], flowTotals{v[3], v[4], v[5]}}
		}
	}
	t.Fatal("no statistics")
	return statistics{}
}

// TestGoldenInterface compares the octets of a record of template 513, and what goflow2 and package
// decode read in it.
func TestGoldenInterface(t *testing.T) {
	link := flow.Interface{Index: 0x01020304, Name: "br-lan", Description: "bridge 192.168.77.1/24"}
	for _, p := range protocols {
		e := NewEncoder(p, goldenDomain, DefaultMessageSize, RecordOptions{})
		first := goldenTemplates(e)
		e.SetInterfaces([]flow.Interface{link})
		if !e.AddPending(present) {
			t.Fatal("no room in an empty message")
		}
		data := golden(t, p, RecordOptions{}, "513", slices.Clone(e.Finish(present)))
		m := decodeAll(t, [][]byte{first, data})[1]
		if len(m.Interfaces) != 1 ||
			m.Interfaces[0] != (decode.Interface{
				Index: link.Index, Name: link.Name, Description: link.Description,
			}) {
			t.Errorf("%s: decode reads %+v", p, m.Interfaces)
		}
		scope, index, name, description := goflowInterface(t, first, data)
		if scope != goldenDomain || index != link.Index || name != link.Name ||
			description != link.Description {
			t.Errorf("%s: goflow2 reads scope %d, %d, %q, %q", p, scope, index, name, description)
		}
	}
}

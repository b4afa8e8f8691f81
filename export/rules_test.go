package export

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// The fields that goflow2, nfdump, pmacct and Akvorado all read, as element/octets.
const (
	want4     = "8/4 12/4 "
	want6     = "27/16 28/16 "
	wantOwn   = "7/2 11/2 4/1 6/1 5/1 61/1 10/4 14/4 1/8 2/8 "
	wantIPFIX = "152/8 153/8 136/1"
	wantV9    = "22/4 21/4 136/1"
	wantNAT4  = " 225/4 226/4 227/2 228/2"
	wantNAT6  = " 281/16 282/16 227/2 228/2"
)

func wantTemplates(p Protocol) map[uint16]string {
	end, icmp6 := wantIPFIX, " 139/2"
	if p == NetFlow9 {
		end, icmp6 = wantV9, " 32/2"
	}
	return map[uint16]string{
		256: want4 + wantOwn + end,
		257: want4 + wantOwn + end + wantNAT4,
		258: want4 + wantOwn + end + " 32/2",
		259: want4 + wantOwn + end + " 32/2" + wantNAT4,
		260: want6 + wantOwn + end,
		261: want6 + wantOwn + end + wantNAT6,
		262: want6 + wantOwn + end + icmp6,
		263: want6 + wantOwn + end + icmp6 + wantNAT6,
	}
}

// forbidden elements make one of the collectors lose or double traffic.
var forbidden = []uint16{
	23, 24, 35, 85, 86, 148, 150, 151, 154, 155, 156, 157, 230, 231, 232, 233, 323,
}

func (s specifier) String() string { return fmt.Sprintf("%d/%d", s.id, s.size) }

func join(all []specifier) string {
	return strings.Trim(fmt.Sprint(all), "[]")
}

func preambleSets(t *testing.T, p Protocol) []rawSet {
	t.Helper()
	return walk(t,
		goldenTemplates(NewEncoder(p, goldenDomain, DefaultMessageSize, RecordOptions{}))).sets
}

func TestTemplates(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			got, want := templatesIn(preambleSets(t, p)[0]), wantTemplates(p)
			if len(got) != len(want) {
				t.Errorf("%d templates, want %d", len(got), len(want))
			}
			for id, fields := range want {
				if join(got[id]) != fields {
					t.Errorf("template %d\n is  %s\nwant %s", id, join(got[id]), fields)
				}
			}
		})
	}
}

func TestForbiddenElements(t *testing.T) {
	for _, p := range protocols {
		never := forbidden
		if p == IPFIX {
			never = append(slices.Clone(never), 21, 22)
		}
		for id, fields := range templatesIn(preambleSets(t, p)[0]) {
			for _, f := range fields {
				if slices.Contains(never, f.id) {
					t.Errorf("%s: template %d has element %d", p, id, f.id)
				}
			}
		}
	}
}

// wantOptions returns the options templates, the scope first.
func wantOptions(p Protocol) map[uint16]string {
	system, process, names := "149/4 ", "144/4 ", "82/16 10/4 83/32"
	if p == NetFlow9 {
		system, process, names = "1/4 ", "1/4 ", "10/4 82/16 83/32"
	}
	return map[uint16]string{
		512: system + "34/4",
		513: system + names,
		514: process + "40/8 41/8 42/8 166/8 167/8 168/8",
	}
}

// TestTemplateSets checks the order of sets, and that each options template has a set of its own:
// nfdump reads only one in a set.
func TestTemplateSets(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			sets := preambleSets(t, p)
			var ids []uint16
			for _, s := range sets {
				ids = append(ids, s.id)
			}
			option := p.optionsTemplateSetID()
			wantIDs := []uint16{p.templateSetID(), option, 512, option, option, 514}
			if !slices.Equal(ids, wantIDs) {
				t.Fatalf("sets %v, want %v", ids, wantIDs)
			}
			for _, i := range []int{1, 3, 4} {
				checkOptionsTemplate(t, p, sets[i].content)
			}
			want := []byte{0, 0, 0, goldenDomain, 0, 0, 0, 1}
			if !slices.Equal(sets[2].content, want) {
				t.Errorf("the option record is %x, want %x", sets[2].content, want)
			}
		})
	}
}

// checkOptionsTemplate wants one template with its scope, and less than four octets of padding.
func checkOptionsTemplate(t *testing.T, p Protocol, b []byte) {
	t.Helper()
	id := be.Uint16(b)
	want := wantOptions(p)[id]
	n := len(strings.Fields(want))
	header := []uint16{id, uint16(n), 1}
	if id == interfaceOption {
		header[2] = 2
	}
	if p == NetFlow9 {
		header = []uint16{id, 4, uint16(4 * (n - 1))}
	}
	for i, v := range header {
		if got := be.Uint16(b[2*i:]); got != v {
			t.Errorf("options template %d: header field %d is %d, want %d", id, i, got, v)
		}
	}
	all, _ := specifiers(b[6:], n)
	if got := join(all); got != want {
		t.Errorf("options template %d has %s, want %s", id, got, want)
	}
	if padding := b[6+4*n:]; !slices.Equal(padding, []byte{0, 0}) {
		t.Errorf("behind options template %d: %x", id, padding)
	}
}

// TestSets checks the structure of messages with many kinds of records: lengths
// (walk does), padding, the header's count.
func TestSets(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			e := NewEncoder(p, goldenDomain, DefaultMessageSize, RecordOptions{})
			for _, b := range pack(t, e, mixed(rnd, 500, present), present) {
				checkSets(t, walk(t, b))
			}
		})
	}
}

func checkSets(t *testing.T, m rawMessage) {
	t.Helper()
	count := 0
	for i, s := range m.sets {
		switch s.id {
		case m.protocol.templateSetID():
			count += len(templatesIn(s))
		case m.protocol.optionsTemplateSetID():
			count++
		default:
			n, padding := recordsIn(m.protocol, s)
			if padding > 3 ||
				slices.ContainsFunc(s.content[len(s.content)-padding:],
					func(b byte) bool { return b != 0 }) {
				t.Errorf("set %d of template %d: padding %x",
					i, s.id, s.content[len(s.content)-padding:])
			}
			count += n
		}
	}
	if m.protocol == NetFlow9 && m.count != count {
		t.Errorf("the header counts %d, the message holds %d records and templates", m.count, count)
	}
}

// dataRecords counts the records that the IPFIX sequence counts.
func dataRecords(m rawMessage) (n uint32) {
	for _, s := range m.sets {
		if s.id >= firstTemplate {
			records, _ := recordsIn(m.protocol, s)
			n += uint32(records)
		}
	}
	return n
}

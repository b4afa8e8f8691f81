package export

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// What goflow2, nfdump, pmacct and Akvorado all read, as element/octets.
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

// forbidden elements make one of the collectors lose or double what we tell.
var forbidden = []uint16{23, 24, 35, 85, 86, 148, 150, 151, 154, 155, 156, 157, 230, 231, 232, 233, 323}

func (s specifier) String() string { return fmt.Sprintf("%d/%d", s.id, s.size) }

func join(all []specifier) string {
	return strings.Trim(fmt.Sprint(all), "[]")
}

func preambleSets(t *testing.T, p Protocol) []rawSet {
	t.Helper()
	return walk(t, goldenPreamble(NewEncoder(p, goldenDomain, DefaultMessageSize))).sets
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

// TestPreambleSets checks the order of sets, and the options template, of which
// nfdump reads but one in a set.
func TestPreambleSets(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			sets := preambleSets(t, p)
			ids := []uint16{sets[0].id, sets[1].id, sets[2].id}
			if want := []uint16{p.templateSet(), p.optionsTemplateSet(), 512}; len(sets) != 3 || !slices.Equal(ids, want) {
				t.Fatalf("sets %v of %d, want %v", ids, len(sets), want)
			}
			checkOptionsTemplate(t, p, sets[1].content)
			if want := []byte{0, 0, 0, goldenDomain, 0, 0, 0, 1}; !slices.Equal(sets[2].content, want) {
				t.Errorf("the option record is %x, want %x", sets[2].content, want)
			}
		})
	}
}

// checkOptionsTemplate wants one template with element 34 of four octets, and
// less than a word of padding.
func checkOptionsTemplate(t *testing.T, p Protocol, b []byte) {
	t.Helper()
	header, fields := []byte{2, 0, 0, 2, 0, 1}, "149/4 34/4"
	if p == NetFlow9 {
		header, fields = []byte{2, 0, 0, 4, 0, 4}, "1/4 34/4"
	}
	if !slices.Equal(b[:6], header) {
		t.Errorf("the options template begins with %x, want %x", b[:6], header)
	}
	if got := join(specifiers(b[6:], 2)); got != fields {
		t.Errorf("the options template has %s, want %s", got, fields)
	}
	if padding := b[14:]; !slices.Equal(padding, []byte{0, 0}) {
		t.Errorf("behind the options template: %x", padding)
	}
}

// TestSets checks the structure of messages with many kinds of records: lengths
// (walk does), padding, the header's count.
func TestSets(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			e := NewEncoder(p, goldenDomain, DefaultMessageSize)
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
		case m.protocol.templateSet():
			count += len(templatesIn(s))
		case m.protocol.optionsTemplateSet():
			count++
		default:
			n, padding := recordsIn(m.protocol, s)
			if padding > 3 || slices.ContainsFunc(s.content[len(s.content)-padding:], func(b byte) bool { return b != 0 }) {
				t.Errorf("set %d of template %d: padding %x", i, s.id, s.content[len(s.content)-padding:])
			}
			count += n
		}
	}
	if m.protocol == NetFlow9 && m.count != count {
		t.Errorf("the header counts %d, the message holds %d records and templates", m.count, count)
	}
}

// dataRecords counts what the IPFIX sequence counts.
func dataRecords(m rawMessage) (n uint32) {
	for _, s := range m.sets {
		if s.id >= firstTemplate {
			records, _ := recordsIn(m.protocol, s)
			n += uint32(records)
		}
	}
	return n
}

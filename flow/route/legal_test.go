package route

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// legalMessages are messages that a strict or an older decoder would refuse.
func legalMessages() map[string][]byte {
	phonet := appendBytes([]byte{0: unix.AF_PHONET, 7: 0}, unix.IFA_LOCAL, []byte{0x6c})
	noAddress := appendText([]byte{0: unix.AF_INET, 7: 0}, unix.IFA_LABEL, "lan0")
	label := appendBytes([]byte{0: unix.AF_MPLS, 1: 20, 11: 0}, unix.RTA_DST, []byte{0, 6, 0x40, 0})
	const unknown = 1000 // an attribute of a later kernel
	later := appendBytes([]byte{0: unix.AF_INET, 11: 0}, unknown, make([]byte, 3))
	link := func(attribute uint16, value []byte) []byte {
		return linkMessage(unix.RTM_NEWLINK, 7, "dev7", appendBytes(nil, attribute, value))
	}
	vlanID := appendBytes(nil, unix.IFLA_VLAN_ID, binary.NativeEndian.AppendUint16(nil, 9))
	kind := appendText(nil, unix.IFLA_INFO_KIND, "vlan")
	vlan := nested(unix.IFLA_LINKINFO, kind, nested(unix.IFLA_INFO_DATA, vlanID))
	return map[string][]byte{
		"a link":                         linkMessage(unix.RTM_NEWLINK, 7, "dev7"),
		"a VLAN":                         linkMessage(unix.RTM_NEWLINK, 7, "dev7", vlan),
		"a link with a one-byte address": link(unix.IFLA_ADDRESS, []byte{1}),
		"a link with a long address":     link(unix.IFLA_BROADCAST, make([]byte, 33)),
		"a link with more statistics":    link(unix.IFLA_STATS64, make([]byte, 208)),
		"a link with later statistics":   link(unix.IFLA_STATS, make([]byte, 100)),
		"a link's unknown attribute":     link(unknown, make([]byte, 3)),
		"an address":                     addressMessage(unix.RTM_NEWADDR, 4, "198.51.100.1"),
		"a Phonet address":               encode(unix.RTM_NEWADDR, 0, 0, phonet),
		"the address 0.0.0.0":            encode(unix.RTM_NEWADDR, 0, 0, noAddress),
		"a route":                        routeMessage(unix.RTM_NEWROUTE, "10.0.0.0", 8, 4, 5),
		"an MPLS route":                  encode(unix.RTM_NEWROUTE, 0, 0, label),
		"a route's unknown attribute":    encode(unix.RTM_NEWROUTE, 0, 0, later),
		"a rule's unknown attribute":     encode(unix.RTM_NEWRULE, 0, 0, later),
	}
}

// newTestWatcher returns a watcher that knows nothing yet, for datagrams to be given to.
func newTestWatcher() *watcher {
	return &watcher{state: newState(), stats: new(Stats), version: 1,
		clock: func() conntrack.Timestamp {
			return conntrack.Timestamp{Mono: 1}
		}}
}

// TestLegalMessagesAreNotMalformed: what the kernel may send is neither counted as malformed
// nor a reason to read everything again, and a link's other attributes count.
func TestLegalMessagesAreNotMalformed(t *testing.T) {
	for name, m := range legalMessages() {
		w := newTestWatcher()
		w.take(m)
		if n := w.stats.Malformed.Load(); n != 0 || w.lost {
			t.Errorf("%s: %d malformed, everything is read again: %t", name, n, w.lost)
		}
		if binary.NativeEndian.Uint16(m[4:]) == unix.RTM_NEWLINK &&
			w.state.devices[7].name != "dev7" {
			t.Errorf("%s: known as %+v", name, w.state.devices[7])
		}
	}
}

// TestUndecodableIsReadAgain: wherever a message is cut off, it is either understood or
// counted; in the latter case everything is read again, and any route may have changed.
func TestUndecodableIsReadAgain(t *testing.T) {
	e := connection{from: client, to: server}.event()
	counted := 0
	for name, m := range legalMessages() {
		for n := range len(m) {
			for _, cut := range [][]byte{m[:n], withLength(m[:n])} {
				w := newTestWatcher()
				moved := w.take(cut)
				if w.stats.Malformed.Load() == 0 {
					continue
				}
				counted++
				if _, last := w.changes.between(0, e); !moved || !w.lost || last != 1 {
					t.Errorf("%s cut to %d bytes: moved %t, lost %t, changed at %d", name, n, moved,
						w.lost, last)
				}
			}
		}
	}
	if counted == 0 {
		t.Error("none was malformed")
	}
}

// withLength returns a copy of a message whose header has its present length.
func withLength(m []byte) []byte {
	m = append([]byte(nil), m...)
	if len(m) >= headerLen {
		endMessage(m)
	}
	return m
}

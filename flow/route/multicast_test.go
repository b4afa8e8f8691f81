package route

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// multicastMessage is a multicast route as the kernel reports it (mr_fill_mroute).
func multicastMessage(typ uint16, family uint8, from, to string, in uint32, out ...uint32) []byte {
	f, g := addr(from), addr(to)
	first := 0
	if family == familyIPMR {
		first = 12
	}
	body := []byte{0: family, 7: unix.RTN_MULTICAST, 11: 0}
	body = appendU32(body, unix.RTA_TABLE, 253)
	body = appendBytes(body, unix.RTA_SRC, f[first:])
	body = appendBytes(body, unix.RTA_DST, g[first:])
	body = appendU32(body, unix.RTA_IIF, in)
	var hops []byte
	for _, index := range out {
		hop := []byte{0: 8, 1: 0, 7: 0}
		binary.NativeEndian.PutUint16(hop, uint16(len(hop)))
		binary.NativeEndian.PutUint32(hop[4:], index)
		hops = append(hops, hop...)
	}
	body = appendBytes(body, unix.RTA_MULTIPATH, hops)
	body = appendBytes(body, unix.RTA_EXPIRES, make([]byte, 8))
	return encode(typ, 0, 0, body)
}

// TestMulticastFollowsItsRoute: a stream has the interfaces of its multicast route, of several
// outputs the first. A stream without such a route has no output.
func TestMulticastFollowsItsRoute(t *testing.T) {
	k := smallKernel()
	k.has(unix.RTM_GETROUTE, multicastMessage(unix.RTM_NEWROUTE, familyIPMR, "203.0.113.50",
		"239.1.2.3", 5, 3, 4))
	k.has(unix.RTM_GETROUTE, multicastMessage(unix.RTM_NEWROUTE, familyIPMR, "0.0.0.0", "239.1.2.4",
		5, 3))
	k.has(unix.RTM_GETROUTE, multicastMessage(unix.RTM_NEWROUTE, familyIP6MR, "2001:db8::50",
		"ff0e::1", 5, 3))
	l := k.open(t, Options{})
	goes := func(from, to string, in, out uint32) {
		t.Helper()
		if p := names(l.Path(connection{from: from, to: to}.event())); p != [2]uint32{in, out} {
			t.Errorf("%s to %s: %v, want from %d to %d", from, to, p, in, out)
		}
	}
	for range 2 {
		goes("203.0.113.50", "239.1.2.3", 5, 3)
		goes("203.0.113.51", "239.1.2.4", 5, 3)
		goes("2001:db8::50", "ff0e::1", 5, 3)
		goes("203.0.113.50", "239.1.2.5", 4, 0)
		goes(client, "239.255.255.250", 3, 0)
		goes(client, "255.255.255.255", 3, 0)
		goes(client, server, 3, 4)
	}
	version := l.Version()
	k.events <- multicastMessage(unix.RTM_NEWROUTE, familyIPMR, "203.0.113.50", "239.1.2.5", 5, 3)
	version = newer(t, l, version)
	goes("203.0.113.50", "239.1.2.5", 5, 3)
	k.events <- multicastMessage(unix.RTM_DELROUTE, familyIPMR, "203.0.113.50", "239.1.2.5", 5, 3)
	newer(t, l, version)
	goes("203.0.113.50", "239.1.2.5", 4, 0)
}

// TestZonesHaveTheirInterfaces: two customers with the same addresses are distinguished by
// the rule that sets their zone, or by their mark.
func TestZonesHaveTheirInterfaces(t *testing.T) {
	k := smallKernel()
	k.has(unix.RTM_GETLINK, linkMessage(unix.RTM_NEWLINK, 7, "lan1"))
	plain := k.route
	k.route = func(to, from conntrack.Addr, in, mark uint32) (unix.Errno, uint8, uint32) {
		if mark == 101 && to == addr(client) {
			return 0, unix.RTN_UNICAST, 7
		}
		return plain(to, from, in, mark)
	}
	known := map[uint16][]string{10: {"lan0"}, 11: {"lan1", "wan1"}, 12: {"lan0", "lan1"},
		13: {"gone"}}
	for _, c := range []struct {
		zone, reply uint16
		mark, want  uint32
		rules       map[uint16][]string
	}{
		{10, 0, 0, 3, known}, {11, 0, 0, 7, known}, {11, 11, 0, 7, known}, {12, 0, 0, 3, known},
		{13, 0, 0, 3, known}, {14, 0, 0, 3, known},
		{0, 0, 0, 3, known}, {0, 0, 101, 3, known}, {14, 0, 101, 7, known}, {14, 0, 5, 3, known},
		{11, 0, 101, 7, nil},
	} {
		l := k.open(t, Options{Mark: true})
		l.zones.read = func() (map[uint16][]string, error) { return c.rules, nil }
		out := connection{from: client, to: server, as: "198.51.100.1", mark: c.mark}.event()
		out.Zone, out.ReplyZone = c.zone, c.reply
		for range 2 {
			if p := names(l.Path(out)); p != [2]uint32{c.want, 4} {
				t.Errorf("%+v: %v", c, p)
			}
		}
	}
}

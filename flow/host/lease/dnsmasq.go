package lease

import "bytes"

// firstTime is 1980. A dnsmasq that is built for machines without a clock of their own
// (HAVE_BROKEN_RTC) writes how long a lease lasts instead of when it ends.
const firstTime = 315532800

// dnsmasq reads
//
//	1790000000 02:00:00:00:00:01 192.0.2.10 laptop 01:02:00:00:00:00:01
//	duid 00:01:00:01:...
//	1790000000 16777217 2001:db8::10 laptop 00:01:00:01:...
//
// where the number in IPv6's lines is an IAID, and * is no name.
func dnsmasq(b []byte, c *collector) error {
	return c.lines(b, func(number int, line []byte) {
		f := bytes.Fields(line)
		l, ok := parseDNSMasq(f)
		switch {
		case ok:
			c.add(l)
		case string(f[0]) != "duid":
			c.skip(number)
		}
	})
}

func parseDNSMasq(f [][]byte) (l Lease, ok bool) {
	if len(f) < 4 {
		return l, false
	}
	until, isTime := seconds(f[0])
	if l.Addr, ok = parseAddr(f[2]); !ok || !isTime {
		return l, false
	}
	if l.Until = until; until < firstTime { // 0 is infinite
		l.Until = Forever
	}
	if l.Addr.Is4() {
		hardware := f[1]
		if len(hardware) > 2 && hardware[2] == '-' { // not Ethernet's number, such as 06-
			hardware = hardware[3:]
		}
		l.MAC, _ = ParseMAC(string(hardware)) // there may be none
	}
	if name := string(f[3]); name != "*" {
		l.Name = name
	}
	return l, true
}

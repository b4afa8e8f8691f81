package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/export"
)

// TestNfcapdCountsNoOptionData: nfdump leaves option data out of IPFIX's sequence, against RFC 7011,
// section 3.1, so it counts one sequence error for each repetition of the templates. In NetFlow v9,
// whose sequence is of datagrams, it counts none. docs/collectors/nfdump.md says so.
func TestNfcapdCountsNoOptionData(t *testing.T) {
	t.Parallel()
	const minutes, perMinute = 10, 60
	for protocol, want := range map[export.Protocol]int{export.NetFlow9: 0, export.IPFIX: minutes} {
		t.Run(protocol.String(), func(t *testing.T) {
			r := newRig(t, nil)
			const port = 2071
			p := r.startNfcapd(port, t.TempDir())
			f := r.feed(export.CollectorConfig{Address: address(port), Protocol: protocol})
			for range minutes + 1 { // the last one shows in the next datagram
				f.send(perMinute, time.Minute/perMinute)
				r.untilRead(port)
			}
			r.endNfcapd(p, port)
			found := regexp.MustCompile(`Sequence Errors: (\d+)`).FindStringSubmatch(p.String())
			if found == nil || found[1] != fmt.Sprint(want) {
				t.Errorf("%s of %d minutes, want %d:\n%s", found, minutes, want, p)
			}
			if strings.Contains(p.String(), "extra bytes") {
				t.Errorf("it logs what it can't read:\n%s", p)
			}
		})
	}
}

package main

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLastDumpLosesNothing: it evicts many more entries at once than the buffer has room for
// events. With or without reliable delivery, the kernel repeats them and the probe waits.
func TestLastDumpLosesNothing(t *testing.T) {
	t.Parallel()
	for _, section := range []string{"", "reliable = true\n"} {
		t.Run(section, func(t *testing.T) {
			t.Parallel()
			// The buffer holds some 200 ends. A dump is due long after the test.
			r := newFaultRig(t, map[string]string{"net/netfilter/nf_conntrack_udp_timeout": "3"})
			s := r.bigSink()
			p := r.faultProbe(s, section+"receive_buffer = \"128KiB\"\npoll_interval = \"1h\"\n")
			r.flood(5000, 10_000)
			time.Sleep(3 * time.Second) // until all have expired: the kernel's own clock
			before, left := int(r.scrape()["conntrack_dropped_events_total"]), r.entries()
			if err := p.end(unix.SIGTERM); err != nil {
				t.Fatalf("%v:\n%s", err, p)
			}
			said := regexp.MustCompile(`stopped +.*"lost_events": (\d+)`).FindStringSubmatch(p.String())
			if said == nil {
				t.Fatalf("it says\n%s", p)
			}
			lost, err := strconv.Atoi(said[1])
			if err != nil {
				t.Fatal(err)
			}
			if got := len(s.all()); got != r.sent-lost {
				t.Errorf("%d of %d flows arrived, %d events were lost:\n%s", got, r.sent, lost, p)
			}
			// The kernel's garbage collection may evict some before the stop, even after the
			// metrics were read. The dump evicts all that are left.
			if lost-before > left/2 {
				t.Errorf("the last dump of %d entries lost events: %d before the stop, %d in all",
					left, before, lost)
			}
		})
	}
}

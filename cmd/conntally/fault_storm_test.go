package main

import (
	"testing"
)

// TestStormLosesNothing: ten thousand new flows per second with the default settings arrive
// once each.
func TestStormLosesNothing(t *testing.T) {
	t.Parallel()
	r := newFaultRig(t, map[string]string{"net/netfilter/nf_conntrack_udp_timeout": "2"})
	s := r.bigSink()
	p := r.faultProbe(s, "")
	r.flood(100_000, 10_000)
	r.untilMetrics(p, "the end of all flows", func(m metrics) bool { return m.events() >= r.sent })
	want := r.forwarded(udp4())
	m := r.scrape()
	r.stop(p)
	flows := s.all()
	t.Log(m)

	if missing := r.arrivals(flows); missing > 0 {
		t.Errorf("%d of %d flows are missing", missing, r.sent)
	}
	if m["conntrack_dropped_events_total"] != 0 {
		t.Errorf("%v events were dropped", m["conntrack_dropped_events_total"])
	}
	if got := sumFlows(flows)[udp4()]; got != want {
		t.Errorf("collected %v, nftables counted %v", got, want)
	}
	r.reached(m, flows)
}

// stall stops a probe for ten seconds under load.
func stall(t *testing.T, section string) (r *faultRig, m metrics, missing int) {
	t.Helper()
	r = newFaultRig(t, map[string]string{"net/netfilter/nf_conntrack_udp_timeout": "1"})
	s := r.bigSink()
	p := r.faultProbe(s, "max_cpu = 100.0\npoll_interval = \"1s\"\nreceive_buffer = \"256KiB\"\n"+
		section)
	other := r.other()
	r.flood(5000, 5000)
	r.pause(p)
	for range 10 { // seconds
		r.flood(5000, 5000)
		r.read(other) // evicts what has expired
	}
	r.resume(p)
	r.flood(10_000, 5000)
	r.untilMetrics(p, "the end of all flows", func(m metrics) bool {
		return m.events() >= r.sent && m["flows"] == 0 && r.entries() == 0
	})
	m = r.scrape()
	want := r.forwarded(udp4())
	r.stop(p)
	flows := s.all()
	missing = r.arrivals(flows)
	t.Logf("%d flows, %d missing: %v", r.sent, missing, m)
	r.reached(m, flows)
	got := sumFlows(flows)[udp4()]
	if want.Packets-got.Packets != uint64(missing) ||
		want.Bytes-got.Bytes != uint64(missing*faultBytes) {
		t.Errorf("collected %v, nftables counted %v, %d flows are missing", got, want, missing)
	}
	return r, m, missing
}

// TestStoppedProcessLosesOnlyWhatIsCounted: after the process was stopped, only flows whose
// event the kernel dropped are missing, and none that a dump had shown.
func TestStoppedProcessLosesOnlyWhatIsCounted(t *testing.T) {
	t.Parallel()
	r, m, missing := stall(t, "")
	dropped, vanished := int(m["conntrack_dropped_events_total"]), int(m["flows_vanished_total"])
	if dropped == 0 || missing == 0 {
		t.Errorf("the fault did not happen: %v", m)
	}
	if missing != dropped-vanished {
		t.Errorf("%d missing, %d events dropped, %d of them of flows that were known", missing,
			dropped, vanished)
	}
	if m.events() != r.sent {
		t.Errorf("%d events read or dropped of %d flows", m.events(), r.sent)
	}
}

// TestStoppedProcessWithReliableDeliveryLosesNothing: the kernel repeats events that found the
// receive buffer full.
func TestStoppedProcessWithReliableDeliveryLosesNothing(t *testing.T) {
	t.Parallel()
	_, m, missing := stall(t, "reliable = true\n")
	if missing != 0 || m["flows_vanished_total"] != 0 || m["conntrack_reopened_total"] != 0 {
		t.Errorf("%d missing, %v vanished, %v times the socket was closed",
			missing, m["flows_vanished_total"], m["conntrack_reopened_total"])
	}
	if m["conntrack_repeated_events_total"] == 0 || m["conntrack_dropped_events_total"] != 0 {
		t.Errorf("the fault did not happen: %v", m)
	}
}

package main

import (
	"testing"
)

// TestStormLosesNothing: ten thousand new flows per second with the default settings arrive
// once each, but for those whose event the kernel dropped because the machine was too busy to
// let the probe read.
func TestStormLosesNothing(t *testing.T) {
	t.Parallel()
	r := newFaultRig(t, map[string]string{"net/netfilter/nf_conntrack_udp_timeout": "2"})
	s := r.bigSink()
	p := r.faultProbe(s, "")
	r.flood(100_000, 10_000)
	r.untilAllEnded(p)
	m, missing := r.finish(p, s)
	if missing != m.unknownEnds() {
		t.Errorf("%d missing of %d flows: %v", missing, r.sent, m)
	}
}

// untilAllEnded waits until the probe has read or missed every flow's end.
func (r *faultRig) untilAllEnded(p *process) {
	r.t.Helper()
	r.untilMetrics(p, "the end of all flows", func(m metrics) bool {
		return m.events() >= r.sent && m["flows"] == 0 && r.entries() == 0
	})
}

// finish stops the probe, and returns its metrics and how many flows are missing: all else that
// the router forwarded has arrived.
func (r *faultRig) finish(p *process, s *sink) (m metrics, missing int) {
	r.t.Helper()
	m = r.scrape()
	want := r.forwarded(udp4())
	r.stop(p)
	flows := s.all()
	missing = r.arrivals(flows)
	r.t.Logf("%d flows, %d missing: %v", r.sent, missing, m)
	r.reached(m, flows)
	got := sumFlows(flows)[udp4()]
	if want.Packets-got.Packets != uint64(missing) ||
		want.Bytes-got.Bytes != uint64(missing*faultBytes) {
		r.t.Errorf("collected %v, nftables counted %v, %d flows are missing", got, want, missing)
	}
	return m, missing
}

// unknownEnds returns how many events the kernel dropped of flows that no dump had shown.
func (m metrics) unknownEnds() int {
	return int(m["conntrack_dropped_events_total"] - m["flows_vanished_total"])
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
	r.untilAllEnded(p)
	m, missing = r.finish(p, s)
	return r, m, missing
}

// TestStoppedProcessLosesOnlyWhatIsCounted: after the process was stopped, only flows whose
// event the kernel dropped are missing, and none that a dump had shown.
func TestStoppedProcessLosesOnlyWhatIsCounted(t *testing.T) {
	t.Parallel()
	r, m, missing := stall(t, "")
	if m["conntrack_dropped_events_total"] == 0 || missing == 0 {
		t.Errorf("the fault did not happen: %v", m)
	}
	if missing != m.unknownEnds() {
		t.Errorf("%d missing: %v", missing, m)
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

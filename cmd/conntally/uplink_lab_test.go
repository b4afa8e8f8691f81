package main

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/export/decode"
)

// farCollector is the address of a collector that the router's own routes lead elsewhere to.
const farCollector = "203.0.113.9"

// beyond returns a namespace with a collector, and routes of the router that don't lead there.
func (r *rig) beyond() (far *lab.Namespace, s *sink) {
	r.t.Helper()
	far = labtest.NewNamespace(r.t)
	r.ip(far, "link set lo up\n address add "+farCollector+"/32 dev lo")
	r.ip(r.Router, "route add "+farCollector+" via "+lab.ServerIPv4+" metric 10")
	return far, r.sinkAt(far, farCollector+":0")
}

// connectVPN lays a cable named vpn from the router to a namespace.
func (r *rig) connectVPN(far *lab.Namespace) {
	r.t.Helper()
	r.ip(r.Router, "link add vpn type veth peer name far netns "+far.Path())
	r.ip(far, "address add 10.9.0.1/24 dev far\n link set far up")
	r.ip(r.Router, "address add 10.9.0.2/24 dev vpn\n link set vpn up")
}

// bound starts a probe whose collector is bound to a device by a key of the configuration.
func (r *rig) bound(s *sink, key string) *process {
	r.t.Helper()
	return r.start(os.Args[0], "run", "--config", configFile(r.t, fmt.Sprintf(`[[collector]]
address = %q
template_interval = "1s"
%s
[flow]
active_timeout = "1s"
idle_timeout = "1s"
[conntrack]
poll_interval = "500ms"
max_cpu = 100.0
`, s.Address(), key)))
}

// countUDP sends n datagrams through the router that are answered, and waits until a collector has
// all of them.
func (r *rig) countUDP(s *sink, n int) {
	r.t.Helper()
	err := r.UDP(r.ctx, lab.UDPFlow{Family: unix.AF_INET, Packets: n, Size: 100, Answered: true})
	if err != nil {
		r.t.Fatal(err)
	}
	s.until(fmt.Sprint(n, " datagrams"), func(flows []decode.Flow) bool {
		sent := map[uint16]uint64{}
		for _, f := range flows {
			if f.DstPort == lab.PortAnswer {
				sent[f.SrcPort] += f.Packets
			}
		}
		for _, packets := range sent {
			if packets == uint64(n) {
				return true
			}
		}
		return false
	})
}

// heard waits until the collector has a message of an exporter that forget hasn't forgotten.
func (s *sink) heard() {
	s.t.Helper()
	s.until("a message", func([]decode.Flow) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.from) > 0
	})
}

func (s *sink) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.from)
}

// fromVPN wants all messages to have come from the router's address at vpn, and no record to be of
// the export itself.
func (s *sink) fromVPN() {
	s.t.Helper()
	for from := range s.from {
		if from.Addr().String() != "10.9.0.2" {
			s.t.Errorf("a message came from %v", from)
		}
	}
	for _, f := range s.all() {
		if f.Dst.String() == farCollector || f.Src.String() == farCollector {
			s.t.Errorf("the export itself is exported: %+v", f)
		}
	}
}

// sendsFromVPN wants `collector-config` to name the address that datagrams come from.
func (r *rig) sendsFromVPN(s *sink) {
	r.t.Helper()
	collector := config.NewCollector(s.Address())
	collector.Interface = "vpn"
	err := r.Router.Do(func() error {
		from, _, err := endpoints(r.ctx, collector)
		if err == nil && from.String() != "10.9.0.2" {
			err = fmt.Errorf("datagrams come from %v", from)
		}
		return err
	})
	if err != nil {
		r.t.Error(err)
	}
}

// TestCollectorByInterface: the collector can be reached by an interface alone that appears late,
// is deleted and made again; another route leads elsewhere. Each time records arrive soon.
func TestCollectorByInterface(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	far, s := r.beyond()
	p := r.bound(s, `interface = "vpn"`)
	p.says("there is no interface vpn")
	for i := range 2 {
		r.connectVPN(far)
		r.ip(r.Router, "route add "+farCollector+" via 10.9.0.1 dev vpn metric 50")
		s.heard()
		r.countUDP(s, 3+i)
		r.sendsFromVPN(s)
		r.ip(r.Router, "link delete vpn")
		s.forget()
	}
	r.stop(p)
	s.fromVPN()
}

// TestCollectorInVRF: the route to the collector is in a VRF alone.
func TestCollectorInVRF(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	far, s := r.beyond()
	if err := r.Router.IP("link add blue type vrf table 10"); errors.Is(err, lab.ErrNoDevice) {
		t.Skip("this kernel has no VRF")
	} else if err != nil {
		t.Fatal(err)
	}
	r.connectVPN(far)
	r.ip(r.Router, "link set blue up\n link set vpn master blue\n"+
		"route add "+farCollector+" via 10.9.0.1 table 10")
	p := r.bound(s, `vrf = "blue"`)
	p.says("exporting")
	s.heard()
	r.countUDP(s, 5)
	r.stop(p)
	s.fromVPN()
}

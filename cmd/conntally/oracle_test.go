package main

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/mdlayher/netlink"
	ct "github.com/ti-mo/conntrack"
	"github.com/ti-mo/netfilter"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
)

// flowKey names one direction of a connection by its two real ends. Flows between the
// same ends by a protocol without ports, such as ICMP, are one.
type flowKey struct {
	proto            uint8
	src, dst         netip.Addr
	srcPort, dstPort uint16
}

type tally map[flowKey]lab.Count

func (t tally) add(k flowKey, packets, bytes uint64) {
	if packets == 0 {
		return
	}
	switch k.proto {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP:
	default:
		k.srcPort, k.dstPort = 0, 0
	}
	c := t[k]
	c.Packets += packets
	c.Bytes += bytes
	t[k] = c
}

// addEntry adds the last counters of a conntrack entry.
func (t tally) addEntry(f *ct.Flow) {
	orig, reply := f.TupleOrig, f.TupleReply
	if orig.IP.SourceAddress.IsLoopback() {
		return
	}
	from, to := orig.IP.SourceAddress, reply.IP.SourceAddress
	forward := flowKey{orig.Proto.Protocol, from, to, orig.Proto.SourcePort, reply.Proto.SourcePort}
	back := flowKey{orig.Proto.Protocol, to, from, reply.Proto.SourcePort, orig.Proto.SourcePort}
	t.add(forward, f.CountersOrig.Packets, f.CountersOrig.Bytes)
	t.add(back, f.CountersReply.Packets, f.CountersReply.Bytes)
}

// oracle watches the router's conntrack by other means than ours.
type oracle struct {
	t      *testing.T
	conn   *ct.Conn
	events chan ct.Event

	mu    sync.Mutex
	ended tally
	count int
	came  chan struct{}
}

func (r *rig) oracle() *oracle {
	r.t.Helper()
	conn, err := ct.Dial(&netlink.Config{NetNS: r.Router.FD()})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadBuffer(16 << 20); err != nil {
		r.t.Fatal(err)
	}
	o := &oracle{t: r.t, conn: conn, events: make(chan ct.Event, 10_000), ended: tally{},
		came: make(chan struct{}, 1)}
	_, err = conn.Listen(o.events, 1, []netfilter.NetlinkGroup{netfilter.GroupCTDestroy})
	if err != nil {
		r.t.Fatal(err)
	}
	go o.watch()
	return o
}

func (o *oracle) watch() {
	for e := range o.events {
		o.mu.Lock()
		o.ended.addEntry(e.Flow)
		if !e.Flow.TupleOrig.IP.SourceAddress.IsLoopback() {
			o.count++
		}
		o.mu.Unlock()
		select {
		case o.came <- struct{}{}:
		default:
		}
	}
}

// untilEnded waits until n entries have ended.
func (o *oracle) untilEnded(r *rig, n int) {
	o.t.Helper()
	for {
		o.mu.Lock()
		count := o.count
		o.mu.Unlock()
		if count >= n {
			return
		}
		select {
		case <-o.came:
		case <-r.ctx.Done():
			o.t.Fatalf("%d of %d entries ended", count, n)
		}
	}
}

// all returns the last counters of the ended entries and the present ones of the
// living.
func (o *oracle) all(r *rig) tally {
	o.t.Helper()
	dumps, err := ct.Dial(&netlink.Config{NetNS: r.Router.FD()})
	if err != nil {
		o.t.Fatal(err)
	}
	defer dumps.Close()
	living, err := dumps.Dump(nil)
	if err != nil {
		o.t.Fatal(err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range living {
		o.ended.addEntry(&living[i])
	}
	return o.ended
}

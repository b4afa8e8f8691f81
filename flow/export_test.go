package flow

import (
	"maps"
	"testing"

	"github.com/conntally/conntally/conntrack"
)

// half is a direction of a connection, before and after NAT.
type half struct{ src, dst, postSrc, postDst string }

func (w *half) check(t *testing.T, r *Record) {
	t.Helper()
	from := tuple(conntrack.ProtoUDP, w.src, w.dst)
	post := tuple(conntrack.ProtoUDP, w.postSrc, w.postDst)
	if r.Src != from.Src || r.SrcPort != from.SrcPort ||
		r.Dst != from.Dst || r.DstPort != from.DstPort {
		t.Errorf("%v:%d -> %v:%d, want %v", r.Src.Netip(), r.SrcPort, r.Dst.Netip(), r.DstPort, *w)
	}
	if r.PostSrc != post.Src || r.PostSrcPort != post.SrcPort ||
		r.PostDst != post.Dst || r.PostDstPort != post.DstPort {
		t.Errorf("after NAT %v:%d -> %v:%d, want %v",
			r.PostSrc.Netip(), r.PostSrcPort, r.PostDst.Netip(), r.PostDstPort, *w)
	}
}

type viewCase struct {
	orig, reply     [2]string // source and destination
	view            View
	forward, back   half
	forwardT, backT bool
}

const client, server, router = "192.168.77.10", "198.51.100.20", "198.51.100.1"

func viewCases() map[string]viewCase {
	return map[string]viewCase{
		"no NAT": {
			[2]string{client + ":1024", server + ":443"},
			[2]string{server + ":443", client + ":1024"},
			Endpoints,
			half{client + ":1024", server + ":443", client + ":1024", server + ":443"},
			half{server + ":443", client + ":1024", server + ":443", client + ":1024"},
			false, false,
		},
		"SNAT, endpoints": {
			[2]string{client + ":1024", server + ":443"},
			[2]string{server + ":443", router + ":60000"},
			Endpoints,
			half{client + ":1024", server + ":443", router + ":60000", server + ":443"},
			half{server + ":443", client + ":1024", server + ":443", client + ":1024"},
			true, false,
		},
		"SNAT, wire": {
			[2]string{client + ":1024", server + ":443"},
			[2]string{server + ":443", router + ":60000"},
			Wire,
			half{client + ":1024", server + ":443", router + ":60000", server + ":443"},
			half{server + ":443", router + ":60000", server + ":443", client + ":1024"},
			true, true,
		},
	}
}

func dnatViewCases() map[string]viewCase {
	return map[string]viewCase{
		"DNAT, endpoints": {
			[2]string{server + ":1024", router + ":8443"},
			[2]string{client + ":443", server + ":1024"},
			Endpoints,
			half{server + ":1024", client + ":443", server + ":1024", client + ":443"},
			half{client + ":443", server + ":1024", router + ":8443", server + ":1024"},
			false, true,
		},
		"DNAT, wire": {
			[2]string{server + ":1024", router + ":8443"},
			[2]string{client + ":443", server + ":1024"},
			Wire,
			half{server + ":1024", router + ":8443", server + ":1024", client + ":443"},
			half{client + ":443", server + ":1024", router + ":8443", server + ":1024"},
			true, true,
		},
		"both, endpoints": {
			[2]string{client + ":1024", router + ":8443"},
			[2]string{"192.168.77.20:443", "192.168.77.1:60000"},
			Endpoints,
			half{client + ":1024", "192.168.77.20:443", "192.168.77.1:60000", "192.168.77.20:443"},
			half{"192.168.77.20:443", client + ":1024", router + ":8443", client + ":1024"},
			true, true,
		},
		"port only": {
			[2]string{client + ":1024", server + ":443"},
			[2]string{server + ":443", client + ":1025"},
			Endpoints,
			half{client + ":1024", server + ":443", client + ":1025", server + ":443"},
			half{server + ":443", client + ":1024", server + ":443", client + ":1024"},
			true, false,
		},
		"NAT66": {
			[2]string{"[2001:db8:77::10]:1024", "[2001:db8:100::20]:443"},
			[2]string{"[2001:db8:100::20]:443", "[2001:db8:100::1]:1024"},
			Endpoints,
			half{
				"[2001:db8:77::10]:1024", "[2001:db8:100::20]:443",
				"[2001:db8:100::1]:1024", "[2001:db8:100::20]:443",
			},
			half{
				"[2001:db8:100::20]:443", "[2001:db8:77::10]:1024",
				"[2001:db8:100::20]:443", "[2001:db8:77::10]:1024",
			},
			true, false,
		},
	}
}

func TestViews(t *testing.T) {
	cases := viewCases()
	maps.Copy(cases, dnatViewCases())
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := testOptions()
			o.NAT = c.view
			h := running(t, o)
			e := h.entry(conntrack.ProtoUDP)
			e.Orig = tuple(conntrack.ProtoUDP, c.orig[0], c.orig[1])
			e.Reply = tuple(conntrack.ProtoUDP, c.reply[0], c.reply[1])
			moves(e)
			h.expire(e, h.now.Wall)
			got := h.take()
			for i, want := range []half{c.forward, c.back} {
				r := &got[i]
				want.check(t, r)
				if r.Translated != [...]bool{c.forwardT, c.backT}[i] || r.Family != e.Orig.Family {
					t.Errorf("direction %d: translated %v, family %d", i, r.Translated, r.Family)
				}
			}
		})
	}
}

func TestICMPHasTypeAndCode(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoICMP)
	e.Orig.SrcPort, e.Orig.DstPort = 77, 8<<8 // identifier; echo request
	e.Reply.SrcPort, e.Reply.DstPort = 99, 0  // an identifier that NAT changed; echo reply
	moves(e)
	h.expire(e, h.now.Wall)
	got := h.take()
	if got[0].SrcPort != 0 || got[0].DstPort != 8<<8 || got[1].SrcPort != 0 || got[1].DstPort != 0 {
		t.Errorf("got %+v", got)
	}
	if got[0].Translated || got[1].Translated {
		t.Error("a changed identifier is no translation of addresses or ports")
	}
}

// What GRE has in place of ports are the call ids of PPTP.
func TestGREHasNoPorts(t *testing.T) {
	for _, view := range []View{Endpoints, Wire} {
		o := testOptions()
		o.NAT, o.NATEvents = view, true
		h := running(t, o)
		e := h.masqueraded(conntrack.ProtoGRE)
		moves(e)
		h.expire(e, h.now.Wall)
		got := h.take()
		if len(got) != 4 {
			t.Errorf("%d records", len(got))
		}
		for _, r := range got {
			if r.SrcPort|r.DstPort|r.PostSrcPort|r.PostDstPort != 0 {
				t.Errorf("%s, NAT event %d: %+v", view, r.NAT, r)
			}
		}
	}
}

func TestTCPFlags(t *testing.T) {
	const (
		s, sa, a = tcpSYN, tcpSYN | tcpACK, tcpACK
		f, r     = tcpFIN, tcpRST
	)
	cases := map[uint8][4]uint8{ // first record, both directions; a later one
		0:                        {a, a, a, a},
		conntrack.TCPSynSent:     {s, r | a, 0, r | a},
		conntrack.TCPSynRecv:     {s, sa, 0, a},
		conntrack.TCPEstablished: {sa, sa, a, a},
		conntrack.TCPFinWait:     {sa | f, sa | f, a | f, a | f},
		conntrack.TCPTimeWait:    {sa | f, sa | f, a | f, a | f},
		conntrack.TCPClose:       {sa | r, sa | r, a | r, a | r},
	}
	for state, want := range cases {
		h := running(t, testOptions())
		e := h.entry(conntrack.ProtoTCP)
		e.State = state
		var got [4]uint8
		for i := range 2 {
			moves(e)
			h.dump(e)
			h.table.Flush(h.now)
			records := h.take()
			got[2*i], got[2*i+1] = records[0].TCPFlags, records[1].TCPFlags
		}
		if got != want {
			t.Errorf("state %d: flags %#x, want %#x", state, got, want)
		}
	}
}

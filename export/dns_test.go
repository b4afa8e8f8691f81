package export

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// fakeDNS is a name server that gives every name the same addresses. Without addresses no name
// exists.
type fakeDNS struct {
	addresses atomic.Pointer[[]netip.Addr] // of IPv4
	block     chan struct{}                // not nil: answers wait until it is closed
}

// point gives every name these addresses.
func (d *fakeDNS) point(to ...string) {
	var all []netip.Addr
	for _, a := range to {
		all = append(all, netip.MustParseAddr(a))
	}
	d.addresses.Store(&all)
}

// useFakeDNS makes a fakeDNS the resolver of this process, for one test.
func useFakeDNS(t *testing.T) *fakeDNS {
	d := &fakeDNS{}
	old := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: d.dial}
	t.Cleanup(func() { net.DefaultResolver = old })
	return d
}

func (d *fakeDNS) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	go d.serve(server)
	return client, nil
}

// serve speaks DNS over a stream: each message follows its length.
func (d *fakeDNS) serve(conn net.Conn) {
	defer conn.Close()
	if d.block != nil {
		<-d.block
	}
	for {
		var length uint16
		if binary.Read(conn, binary.BigEndian, &length) != nil {
			return
		}
		query := make([]byte, length)
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		answer, err := d.answer(query)
		if err != nil {
			return
		}
		framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)
		if _, err := conn.Write(framed); err != nil {
			return
		}
	}
}

func (d *fakeDNS) answer(query []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	m.Response, m.Additionals = true, nil
	q, all := m.Questions[0], d.addresses.Load()
	if all == nil {
		m.RCode = dnsmessage.RCodeNameError
		return m.Pack()
	}
	for _, a := range *all {
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
				Body:   &dnsmessage.AResource{A: a.As4()},
			})
		}
	}
	return m.Pack()
}

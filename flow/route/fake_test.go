package route

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// kernel is a fake one that speaks rtnetlink in bytes. Its objects are the messages
// that describe them.
type kernel struct {
	mu      sync.Mutex
	objects map[uint16][][]byte // by the type of the request that dumps them
	fails   map[uint16][]error  // what dumps fail with first
	// route answers RTM_GETROUTE: an errno, or a type and an interface.
	route func(to, from conntrack.Addr, in, mark uint32) (errno unix.Errno, typ uint8, out uint32)
	asked int

	events chan any // a datagram or an error
	dials  int      // sockets that were opened
}

func newKernel() *kernel {
	k := &kernel{
		objects: map[uint16][][]byte{}, fails: map[uint16][]error{},
		events: make(chan any, 100),
	}
	k.route = func(conntrack.Addr, conntrack.Addr, uint32, uint32) (unix.Errno, uint8, uint32) {
		return unix.ENETUNREACH, 0, 0
	}
	return k
}

// has adds an object to what dumps show.
func (k *kernel) has(request uint16, m []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.objects[request] = append(k.objects[request], m)
}

// open opens a Resolver on the kernel.
func (k *kernel) open(t *testing.T, o Options) *Resolver {
	t.Helper()
	if o.Clock == nil {
		o.Clock = conntrack.SystemClock()
	}
	l, err := open(o, k.dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// dial opens a socket of either kind.
func (k *kernel) dial(groups uint32) (ctnetlink.Socket, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dials++
	if groups != 0 {
		return &eventSocket{k, make(chan struct{})}, nil
	}
	return &requestSocket{kernel: k}, nil
}

// eventSocket hands out notifications.
type eventSocket struct {
	*kernel
	closed chan struct{}
}

func (s *eventSocket) Recv(wait time.Duration) ([]byte, error) {
	var timeout <-chan time.Time
	if wait < forever {
		timeout = time.After(wait)
	}
	select {
	case <-s.closed:
		return nil, net.ErrClosed
	case e := <-s.events:
		if err, ok := e.(error); ok {
			return nil, err
		}
		return e.([]byte), nil
	case <-timeout:
		return nil, os.ErrDeadlineExceeded
	}
}

func (s *eventSocket) Send([]byte) error { return nil }
func (s *eventSocket) Close() error      { close(s.closed); return nil }

// requestSocket answers requests.
type requestSocket struct {
	*kernel
	answers []any
	broken  error
}

func (s *requestSocket) Send(b []byte) error {
	if s.broken != nil {
		return s.broken
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, _, err := nextMessage(b)
	if err != nil {
		return err
	}
	if m.typ == unix.RTM_GETROUTE && m.flags&unix.NLM_F_DUMP == 0 {
		s.asked++
		s.answers = append(s.answers, s.answer(&m))
		return nil
	}
	if fails := s.fails[m.typ]; len(fails) > 0 {
		s.fails[m.typ] = fails[1:]
		if fails[0] != errInterrupted { //nolint:errorlint // it is itself
			s.answers = append(s.answers, fails[0])
			return nil
		}
		s.answers = append(s.answers,
			encode(unix.RTM_NEWLINK, unix.NLM_F_MULTI|unix.NLM_F_DUMP_INTR, m.seq, nil))
	}
	for _, object := range s.objects[m.typ] {
		o, _, _ := nextMessage(object)
		if family := m.body[0]; family != 0 && o.body[0] != family {
			continue
		}
		s.answers = append(s.answers, encode(o.typ, unix.NLM_F_MULTI, m.seq, o.body))
	}
	s.answers = append(s.answers, encode(unix.NLMSG_DONE, unix.NLM_F_MULTI, m.seq, make([]byte, 4)))
	return nil
}

func (s *requestSocket) answer(m *message) []byte {
	var to, from conntrack.Addr
	var in, mark uint32
	for a := m.attributes(unix.SizeofRtMsg); a.next(); {
		switch a.typ {
		case unix.RTA_DST:
			to = addressOf(a.value)
		case unix.RTA_SRC:
			from = addressOf(a.value)
		case unix.RTA_IIF:
			in = a.u32()
		case unix.RTA_MARK:
			mark = a.u32()
		}
	}
	errno, typ, out := s.route(to, from, in, mark)
	if errno != 0 {
		return encode(unix.NLMSG_ERROR, 0, m.seq,
			binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno))))
	}
	return encode(unix.RTM_NEWROUTE, 0, m.seq, appendU32([]byte{7: typ, 11: 0}, unix.RTA_OIF, out))
}

func (s *requestSocket) Recv(time.Duration) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.answers) == 0 {
		return nil, os.ErrDeadlineExceeded
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	if err, ok := a.(error); ok {
		return nil, err
	}
	return a.([]byte), nil
}

func (s *requestSocket) Close() error { return nil }

// encode makes a message.
func encode(typ, flags uint16, seq uint32, body []byte) []byte {
	b := append(beginMessage(nil, typ, flags, seq), body...)
	return endMessage(b)
}

// linkMessage describes an interface that is up.
func linkMessage(typ uint16, index uint32, name string, attributes ...[]byte) []byte {
	body := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint16(body[2:], unix.ARPHRD_ETHER)
	binary.NativeEndian.PutUint32(body[4:], index)
	binary.NativeEndian.PutUint32(body[8:], unix.IFF_UP|unix.IFF_LOWER_UP)
	body = appendText(body, unix.IFLA_IFNAME, name)
	for _, a := range attributes {
		body = append(body, a...)
	}
	return encode(typ, 0, 0, body)
}

func appendText(b []byte, typ uint16, s string) []byte {
	n := attrHeaderLen + len(s) + 1
	b = binary.NativeEndian.AppendUint16(b, uint16(n))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, s...)
	return append(b, make([]byte, align4(n)-n+1)...)
}

func nested(typ uint16, attributes ...[]byte) (b []byte) {
	for _, a := range attributes {
		b = append(b, a...)
	}
	return appendBytes(nil, typ, b)
}

// addressMessage describes an IPv4 address.
func addressMessage(typ uint16, index uint32, a string) []byte {
	n := addr(a)
	body := []byte{0: unix.AF_INET, 1: 24, 7: 0}
	binary.NativeEndian.PutUint32(body[4:], index)
	return encode(typ, 0, 0, appendBytes(body, unix.IFA_LOCAL, n[12:]))
}

// routeMessage describes an IPv4 route.
func routeMessage(typ uint16, to string, bits uint8, out ...uint32) []byte {
	n := addr(to)
	body := []byte{0: unix.AF_INET, 1: bits, 7: unix.RTN_UNICAST, 11: 0}
	body = appendBytes(body, unix.RTA_DST, n[12:])
	if len(out) == 1 {
		body = appendU32(body, unix.RTA_OIF, out[0])
	} else {
		var hops []byte
		for _, index := range out {
			hop := []byte{0: 0, 7: 0}
			binary.NativeEndian.PutUint16(hop, uint16(len(hop)))
			binary.NativeEndian.PutUint32(hop[4:], index)
			hops = append(hops, hop...)
		}
		body = appendBytes(body, unix.RTA_MULTIPATH, hops)
	}
	return encode(typ, 0, 0, body)
}

func addressOf(b []byte) conntrack.Addr {
	a, _ := netip.AddrFromSlice(b)
	return conntrack.AddrFrom(a)
}

package conntracktest

import (
	"encoding/binary"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// dumpPortid is the netlink port of every dump socket.
const dumpPortid = 4242

// dumps is a socket that answers requests for dumps, one datagram per Recv.
type dumps struct {
	k        *Kernel
	closed   bool
	injected []injection
	refusal  []byte // the answer to a refused request

	running bool
	seq     uint32
	next    int // chunk
	out     []byte
}

// injection is a datagram that a test made, or an error.
type injection struct {
	datagram []byte
	err      error
}

// Send implements ctnetlink.Socket: it takes requests for dumps of all entries
// (IPCTNL_MSG_CT_GET with NLM_F_DUMP) and refuses others as the kernel does.
func (s *dumps) Send(b []byte) error {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	if len(b) < headerLen || int(binary.NativeEndian.Uint32(b)) != len(b) {
		return unix.EINVAL
	}
	seq := binary.NativeEndian.Uint32(b[8:])
	if errno := s.refusalOf(b); errno != 0 {
		s.refusal = AppendError(s.refusal[:0], seq, errno, b)
		return nil
	}
	s.k.requested++
	s.seq, s.next = seq, 0
	s.k.pack()
	s.running = true
	return nil
}

// refusalOf returns why a request is refused, or 0.
func (s *dumps) refusalOf(b []byte) (errno unix.Errno) {
	const dump = unix.NLM_F_REQUEST | unix.NLM_F_DUMP
	typ, flags := binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint16(b[6:])
	refused := s.k.refused
	s.k.refused = 0
	switch {
	case refused != 0:
		return refused
	case s.running:
		return unix.EBUSY
	case typ != msgGet || flags&dump != dump:
		return unix.EOPNOTSUPP
	case len(b) != headerLen+genmsgLen || b[headerLen] != unix.AF_UNSPEC ||
		b[headerLen+1] != unix.NFNETLINK_V0:
		return unix.EINVAL
	}
	return 0
}

// pack joins small chunks, but not during a dump.
func (k *Kernel) pack() {
	if !slices.ContainsFunc(k.dumps, func(s *dumps) bool { return s.running }) {
		k.table.pack()
	}
}

// Recv implements ctnetlink.Socket.
func (s *dumps) Recv(wait time.Duration) ([]byte, error) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	switch {
	case s.closed:
		return nil, os.ErrClosed
	case len(s.injected) > 0:
		first := s.injected[0]
		s.injected = s.injected[1:]
		return first.datagram, first.err
	case len(s.refusal) > 0:
		s.out = append(s.out[:0], s.refusal...)
		s.refusal = s.refusal[:0]
		return s.out, nil
	case s.running:
		return s.datagram(), nil
	}
	s.k.Advance(max(wait, 0))
	return nil, os.ErrDeadlineExceeded
}

// datagram returns the next chunk that is not empty, or the end of the dump.
func (s *dumps) datagram() []byte {
	broken := s.k.broken != 0 && s.next > 0
	for !broken && s.next < len(s.k.table.chunks) {
		b := s.k.table.chunk(s.next)
		s.next++
		if len(b) > 0 {
			s.out = append(s.out[:0], b...)
			return Stamp(s.out, s.seq)
		}
	}
	s.running = false
	s.out = AppendDone(s.out[:0], s.seq, s.k.broken)
	s.k.broken = 0
	return s.out
}

// Close implements ctnetlink.Socket.
func (s *dumps) Close() error {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	s.closed, s.running = true, false
	s.k.dumps = slices.DeleteFunc(s.k.dumps, func(d *dumps) bool { return d == s })
	return nil
}

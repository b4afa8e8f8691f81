package route

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack/ctnetlink"
)

const (
	patience = 5 * time.Second // for an answer that the kernel has at once
	attempts = 5               // at a dump, while what it dumps changes
)

// skipStats is RTEXT_FILTER_SKIP_STATS of linux/rtnetlink.h: they are long.
const skipStats = 1 << 3

var errInterrupted = errors.New("it changed during the dump")

// requests asks the kernel on a socket of its own. It belongs to one goroutine.
type requests struct {
	socket  ctnetlink.Socket
	seq     uint32
	request []byte
	message message // of an answer, being handed out
	broken  bool    // the socket failed: the error isn't an answer of the kernel
}

// begin begins a request.
func (r *requests) begin(typ, flags uint16) {
	r.seq++
	r.request = beginMessage(r.request, typ, flags, r.seq)
}

// ask sends the request and hands fn each message of the answer, which is valid
// only inside fn.
func (r *requests) ask(fn func(m *message)) error {
	if err := r.socket.Send(endMessage(r.request)); err != nil {
		r.broken = true
		return err
	}
	interrupted := false
	for {
		b, err := r.socket.Recv(patience)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			r.broken = !errors.Is(err, ctnetlink.ErrMalformed)
			return err
		}
		done, err := r.answer(b, &interrupted, fn)
		if err == nil && done && interrupted {
			err = errInterrupted
		}
		if done || err != nil {
			return err
		}
	}
}

// answer reads one datagram and reports whether it was the last.
func (r *requests) answer(b []byte, interrupted *bool, fn func(m *message)) (done bool, err error) {
	for len(b) > 0 {
		m := &r.message
		*m, b, err = nextMessage(b)
		if err != nil {
			return true, err
		}
		if m.seq != r.seq {
			continue // the rest of an answer that was abandoned
		}
		*interrupted = *interrupted || m.flags&unix.NLM_F_DUMP_INTR != 0
		if m.typ == unix.NLMSG_DONE || m.typ == unix.NLMSG_ERROR {
			return true, m.failure()
		}
		fn(m)
		done = m.flags&unix.NLM_F_MULTI == 0
	}
	return done, nil
}

// dump hands fn all objects of one kind, RTM_GETLINK and the like, some perhaps
// twice, of one family or of any (0). A kernel without CONFIG_IP_MULTIPLE_TABLES has no
// rules and can't be asked for them; one without multicast routing answers with the
// objects of all families (net/core/rtnetlink.c, rtnetlink_rcv_msg).
func (r *requests) dump(typ uint16, family uint8, fn func(m *message)) error {
	err := errInterrupted
	for i := 0; i < attempts && errors.Is(err, errInterrupted); i++ {
		r.begin(typ, unix.NLM_F_DUMP)
		r.request = append(r.request, family)
		r.request = append(r.request, make([]byte, unix.SizeofIfInfomsg-1)...) // fits for all kinds
		if typ == unix.RTM_GETLINK {
			r.request = appendU32(r.request, unix.IFLA_EXT_MASK, skipStats)
		}
		err = r.ask(fn)
	}
	switch {
	case typ == unix.RTM_GETRULE && errors.Is(err, unix.EOPNOTSUPP):
		return nil
	case err != nil:
		return fmt.Errorf("rtnetlink dump %d: %w", typ, err)
	}
	return nil
}

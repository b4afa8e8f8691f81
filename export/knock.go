package export

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// knockPatience is how long an ICMP error has to come back.
const knockPatience = time.Second

// Knock sends a message without records, from a socket such as a Collector's, and
// waits for ICMP errors. It returns where the message went, if it left. No error
// doesn't prove that somebody listens: UDP isn't answered. The error wraps a
// *net.DNSError, or *net.OpErrors whose Op says whether they arose while dialing.
func Knock(ctx context.Context, t Target, clock conntrack.Clock) (netip.AddrPort, error) {
	conn, err := t.dial(ctx, netip.AddrPort{}, false)
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer conn.Close()
	to := unmapped(conn.RemoteAddr())
	raw, err := conn.SyscallConn()
	if err != nil {
		return to, err
	}
	if err := reportICMP(raw, to.Addr().Is6()); err != nil {
		return to, err
	}
	if _, err := conn.Write(t.noRecords(clock().Wall)); err != nil {
		return to, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(knockPatience)); err != nil {
		return to, err
	}
	_, err = conn.Read(make([]byte, 1))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return to, err
}

// noRecords is a message that no collector minds: nfacctd calls one without any set
// incomplete, so it has a template. Its domain is one that no records are sent from,
// so that none seem to be missing.
func (t *Target) noRecords(now int64) []byte {
	e := NewEncoder(t.Protocol, 0, DefaultMessageSize, Optional{})
	e.begin(now)
	e.addPiece(&e.preamble.fixed[0])
	return e.Finish(now)
}

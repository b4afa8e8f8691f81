package export

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// probeTimeout is how long an ICMP error has to come back. That of the kernel itself, where a
// neighbour is off, takes longest: three ARP requests or neighbour solicitations, a second apart.
const probeTimeout = 3500 * time.Millisecond

// ProbeCollector sends a message without records, from a socket like a Collector's, and waits
// for an ICMP error. It returns the address that the message was sent to. That there was no
// error doesn't prove that anything listens there: UDP has no answer. The error wraps a
// *net.DNSError, or a *net.OpError whose Op is "dial" where no socket could be opened.
func ProbeCollector(
	ctx context.Context, t CollectorConfig, clock conntrack.Clock,
) (netip.AddrPort, error) {
	conn, err := t.Dial(ctx)
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
	if err := conn.SetReadDeadline(time.Now().Add(probeTimeout)); err != nil {
		return to, err
	}
	_, err = conn.Read(make([]byte, 1))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return to, err
}

// noRecords returns a message that no collector complains about: it has a template, since
// nfacctd reports a message without sets as incomplete. Its domain is one that sends no
// records, so that collectors find no gap in a sequence.
func (t *CollectorConfig) noRecords(now int64) []byte {
	e := NewEncoder(t.Protocol, 0, DefaultMessageSize, RecordOptions{})
	e.begin(now, now)
	e.addMetaRecord(&e.templateSet.fixed[0])
	return e.Finish(now)
}

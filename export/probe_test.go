package export

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/netsampler/goflow2/v2/decoders/netflow"
	"golang.org/x/sys/unix"
)

// TestProbeSendsNoRecords proves that a collector receives a message without records, from the
// configured source.
func TestProbeSendsNoRecords(t *testing.T) {
	for _, protocol := range protocols {
		for name, c := range map[string]struct {
			listen string
			source netip.Addr
		}{
			"IPv4":   {"127.0.0.1:0", netip.Addr{}},
			"source": {"127.0.0.1:0", netip.MustParseAddr("127.0.0.2")},
			"IPv6":   {"[::1]:0", netip.Addr{}},
		} {
			t.Run(fmt.Sprint(protocol, " ", name), func(t *testing.T) {
				t.Parallel() // it waits for what doesn't come
				l := listen(t, c.listen)
				target := CollectorConfig{
					Address: l.address().String(), Protocol: protocol, Source: c.source,
				}
				to, err := ProbeCollector(t.Context(), target, newFakeClock().now)
				if err != nil || to != l.address() {
					t.Errorf("sent to %v: %v", to, err)
				}
				b, from := l.receive(t)
				if c.source.IsValid() && from.Addr() != c.source {
					t.Errorf("came from %v, want %v", from, c.source)
				}
				hasNoRecords(t, protocol, b)
			})
		}
	}
}

// hasNoRecords checks a message's header byte by byte (RFC 3954 section 5.1, RFC 7011
// section 3.1) and what decoders find behind it: a template. v9's seconds are rounded
// up, and its exporter began a day before.
func hasNoRecords(t *testing.T, p Protocol, b []byte) {
	t.Helper()
	seconds := uint32(present / 1e9)
	want := []byte{0, 10, 0, byte(len(b))}
	want = binary.BigEndian.AppendUint32(want, seconds)
	if p == NetFlow9 {
		want = []byte{0, 9, 0, 1}
		want = binary.BigEndian.AppendUint32(want, 86400_000+1000-678)
		want = binary.BigEndian.AppendUint32(want, seconds+1)
	}
	want = append(want, 0, 0, 0, 0, 0, 0, 0, 0) // sequence, domain
	if !bytes.HasPrefix(b, want) {
		t.Errorf("%v\ngot  % x\nwant % x ...", p, b, want)
	}
	if m := decodeAll(t, [][]byte{b})[0]; len(m.Flows) != 0 || m.Version != uint16(p) {
		t.Errorf("decode reads %+v", m)
	}
	sets := goflowSets(t, netflow.CreateTemplateSystem(), b)
	if _, isTemplate := sets[0].(netflow.TemplateFlowSet); len(sets) != 1 || !isTemplate {
		t.Errorf("goflow2 reads %v", sets)
	}
}

func TestProbeReportsErrors(t *testing.T) {
	l := listen4(t)
	closed := l.address()
	l.Close()
	useFakeDNS(t) // knows no name
	for _, c := range []struct {
		target CollectorConfig
		op     string
		errno  unix.Errno
	}{
		{CollectorConfig{Address: closed.String()}, "read", unix.ECONNREFUSED},
		{CollectorConfig{Address: fmt.Sprintf("[::1]:%d", closed.Port())}, "read",
			unix.ECONNREFUSED},
		{CollectorConfig{Address: closed.String(), Source: netip.MustParseAddr("192.0.2.77")},
			"dial", unix.EADDRNOTAVAIL},
	} {
		_, err := ProbeCollector(t.Context(), c.target, newFakeClock().now)
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != c.op || !errors.Is(err, c.errno) {
			t.Errorf("%+v: %v", c.target, err)
		}
	}
	_, err := ProbeCollector(t.Context(), CollectorConfig{Address: "collector.test:2055"},
		newFakeClock().now)
	var unknown *net.DNSError
	if !errors.As(err, &unknown) {
		t.Errorf("an unknown name: %v", err)
	}
}

package serve

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export/decode"
)

// What was queued before the end is read, also when the end comes before the first read. All of
// it is refused here, since what is refused needs no decoder.
func TestQueuedDatagramsAreReadAtTheEnd(t *testing.T) {
	const sent = 20
	for range 100 {
		r := &receiver{
			allowed: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
			decoder: decode.New(decode.Options{}),
			clock:   conntrack.SystemClock(), alive: func(int64) {},
		}
		if err := r.listen(t.Context(), "127.0.0.1:0", 1<<20); err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("udp", r.conn.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		for range sent {
			if _, err := conn.Write([]byte("datagram")); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.run(ctx); err != nil {
			t.Error(err)
		}
		if n := r.Stats.Datagrams.Load(); n != sent {
			t.Errorf("%d of %d datagrams were read", n, sent)
		}
		conn.Close()
		r.conn.Close()
	}
}

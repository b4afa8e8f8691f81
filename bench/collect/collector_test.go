package collect

import (
	"fmt"
	"net"
	"testing"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
)

// TestCollector: all that was sent before Close is there, in order.
func TestCollector(t *testing.T) {
	l := labtest.New(t, lab.Options{})
	c, err := Open(l.Router)
	if err != nil {
		t.Fatal(err)
	}
	const n = 3000
	err = l.Router.Do(func() error {
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(Address()))
		if err != nil {
			return err
		}
		defer conn.Close()
		for i := range n {
			if _, err := fmt.Fprintf(conn, "%d", i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	datagrams, err := c.Close()
	if err != nil || len(datagrams) != n {
		t.Fatalf("%d datagrams, %v", len(datagrams), err)
	}
	for i, d := range datagrams {
		if string(d.Data) != fmt.Sprint(i) || !d.From.IsValid() {
			t.Fatalf("datagram %d: %q from %v", i, d.Data, d.From)
		}
	}
}

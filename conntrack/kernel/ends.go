package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	groupDestroy = 3 // NFNLGRP_CONNTRACK_DESTROY
	endPatience  = time.Second
)

// ReportsEnds reports whether the kernel sends an event when a connection ends: it subscribes,
// sends a datagram to itself on loopback, deletes its entry and waits for the event. The error is
// ErrNotTracked if loopback isn't tracked, so that this can't be tried.
func ReportsEnds() (bool, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if err := conn.JoinGroup(groupDestroy); err != nil {
		return false, err
	}
	return withLoopback(func(self netip.AddrPort) (bool, error) {
		if err := deleteEntry(self); err != nil {
			return false, err
		}
		return ends(conn, self)
	})
}

// EndConnection makes a connection of one datagram of one byte from an address to itself, deletes
// its entry, and returns the address. The error is ErrNotTracked if loopback isn't tracked.
func EndConnection() (self netip.AddrPort, err error) {
	_, err = withLoopback(func(at netip.AddrPort) (bool, error) {
		self = at
		return true, deleteEntry(at)
	})
	return self, err
}

// deleteEntry deletes the entry of a datagram from self to self.
func deleteEntry(self netip.AddrPort) error {
	// The request is acknowledged: a DELETE has no other answer.
	request := loopbackMessage(msgDelEntry, self)
	request.Header.Flags |= netlink.Acknowledge
	err := ask(request)
	if errors.Is(err, unix.ENOENT) {
		return ErrNotTracked
	}
	if err != nil {
		return fmt.Errorf("deleting an entry of its own: %w", err)
	}
	return nil
}

// ErrNotTracked says that datagrams on loopback aren't tracked.
var ErrNotTracked = errors.New("loopback isn't tracked")

// ends waits for the end of the entry of a datagram from self to self.
func ends(conn *netlink.Conn, self netip.AddrPort) (bool, error) {
	if err := conn.SetReadDeadline(time.Now().Add(endPatience)); err != nil {
		return false, err
	}
	for {
		messages, err := conn.Receive()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return false, nil
		case errors.Is(err, unix.ENOBUFS): // many other connections end
			continue
		case err != nil:
			return false, err
		}
		for i := range messages {
			if isOf(&messages[i], self) {
				return true, nil
			}
		}
	}
}

// isOf reports whether a message is about the datagram from self to self: its first attribute is
// the original tuple, encoded as encodeUDP does.
func isOf(m *netlink.Message, self netip.AddrPort) bool {
	if len(m.Data) < nfgenmsgLen {
		return false
	}
	a, err := netlink.NewAttributeDecoder(m.Data[nfgenmsgLen:])
	if err != nil {
		return false
	}
	found := false
	for a.Next() {
		if a.Type() == aTupleOrig {
			a.Nested(func(tuple *netlink.AttributeDecoder) error {
				found = isSelf(tuple, self)
				return nil
			})
		}
	}
	return found
}

func isSelf(tuple *netlink.AttributeDecoder, self netip.AddrPort) bool {
	var address, port bool
	for tuple.Next() {
		part := tuple.Type()
		tuple.Nested(func(a *netlink.AttributeDecoder) error {
			for a.Next() {
				switch {
				case part == aTupleIP && a.Type() == aIPv4Src:
					from, _ := netip.AddrFromSlice(a.Bytes())
					address = from == self.Addr()
				case part == aTupleProto && a.Type() == aProtoSrcPort:
					b := a.Bytes()
					port = len(b) == 2 && uint16(b[0])<<8|uint16(b[1]) == self.Port()
				}
			}
			return nil
		})
	}
	return address && port
}

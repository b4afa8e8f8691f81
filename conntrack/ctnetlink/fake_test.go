package ctnetlink_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// TestRealBytes proves that the fake kernel encodes an entry, living and ended, as the real one
// does: the same attributes in the same order.
func TestRealBytes(t *testing.T) {
	r := newReal(t)
	program, listener := r.dial(), r.dial()
	must(t, listener.JoinGroup(3)) // NFNLGRP_CONNTRACK_DESTROY
	labtest.EachKind(r.ctx, t, r.Lab)
	r.invent()
	living, err := program.Execute(netlink.Message{
		Header: netlink.Header{
			Type: unix.NFNL_SUBSYS_CTNETLINK<<8 | 1, Flags: netlink.Request | netlink.Dump,
		},
		Data: []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0},
	})
	must(t, err)
	for _, m := range living {
		sameBytes(t, m, conntrack.Dump)
	}
	must(t, r.oracle.Flush())
	for range living {
		ends, err := listener.Receive()
		must(t, err)
		sameBytes(t, ends[0], conntrack.Destroy)
	}
}

func sameBytes(t *testing.T, m netlink.Message, eventType conntrack.EventType) {
	t.Helper()
	e := conntrack.Event{Type: eventType, Portid: m.Header.PID}
	must(t, ctnetlink.Decode(m.Data[4:], &e))
	fake := conntracktest.AppendEntry(nil, &e)
	if typ, flags := binary.NativeEndian.Uint16(fake[4:]), binary.NativeEndian.Uint16(
		fake[6:],
	); typ != uint16(m.Header.Type) || flags != uint16(m.Header.Flags) {
		t.Errorf("type %#x flags %#x, kernel %#x %#x",
			typ, flags, uint16(m.Header.Type), uint16(m.Header.Flags))
	}
	if !bytes.Equal(fake[16:20], m.Data[:4]) {
		t.Errorf("nfgenmsg % x, kernel % x", fake[16:20], m.Data[:4])
	}
	got, want := list(fake[20:]), list(m.Data[4:])
	if !slices.Equal(got, want) {
		t.Errorf("%+v\ngot  %s\nwant %s", e, got, want)
	}
}

// list returns the attributes of a message, except for those that an Event doesn't have.
func list(b []byte) (attrs []string) {
	for len(b) >= 4 {
		length, typ := binary.NativeEndian.Uint16(b), binary.NativeEndian.Uint16(b[2:])
		value := b[4:length]
		b = b[min(len(b), (int(length)+3)&^3):]
		switch typ &^ (nested | byteOrder) {
		case 5, 6, 22, 24, 25, 26:
			// help, NAT, labels, SYN proxy ...: of entries that a rule or a program created
			continue
		case 27: // CTA_TIMESTAMP_EVENT is when it was sent
			value = nil
		case 11: // CTA_USE
			value = nil
		case aProtoinfo: // all but the state
			value = append(value[:9:9], byte(len(value)))
		}
		attrs = append(attrs, fmt.Sprintf("%#x:%x", typ, value))
	}
	return attrs
}

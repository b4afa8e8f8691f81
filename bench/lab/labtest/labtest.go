// Package labtest gives tests a lab.
package labtest

import (
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
)

// Need skips the test where no lab can be built.
func Need(t testing.TB) {
	t.Helper()
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
}

// New returns a lab that lasts as long as the test, which is skipped where there can be
// none.
func New(t testing.TB, o lab.Options) *lab.Lab {
	t.Helper()
	Need(t)
	l, err := lab.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// EnterNamespace moves the test's goroutine into a new network namespace, whose loopback
// interface is up; its thread ends with the test. Subtests would run elsewhere.
func EnterNamespace(t testing.TB) {
	t.Helper()
	Need(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	if err := loopbackUp(); err != nil {
		t.Fatal(err)
	}
}

func loopbackUp() error {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	up := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(up[4:], 1) // lo
	binary.NativeEndian.PutUint32(up[8:], unix.IFF_UP)
	binary.NativeEndian.PutUint32(up[12:], unix.IFF_UP)
	_, err = conn.Execute(netlink.Message{
		Header: netlink.Header{
			Type: unix.RTM_NEWLINK, Flags: netlink.Request | netlink.Acknowledge,
		}, Data: up,
	})
	return err
}

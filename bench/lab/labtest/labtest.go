// Package labtest gives tests a lab.
package labtest

import (
	"context"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/mdlayher/netlink"
	"github.com/ti-mo/conntrack"
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

// NewNamespace returns a network namespace that lasts as long as the test, which is skipped where
// there can be none.
func NewNamespace(t testing.TB) *lab.Namespace {
	t.Helper()
	Need(t)
	n, err := lab.NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// Program returns the absolute path of a program that `make tools` installs, or skips the test. It is
// looked up in $PATH, /usr/sbin and the directories.
func Program(t testing.TB, name string, dirs ...string) string {
	t.Helper()
	dirs = append(append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin"), dirs...)
	for _, dir := range dirs {
		path, err := filepath.Abs(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path
		}
	}
	t.Skipf("%s is not installed: make tools", name)
	return ""
}

// EachKind makes connections of each kind that the lab can make, of both families, and returns once
// no packet is under way.
func EachKind(ctx context.Context, t testing.TB, l *lab.Lab) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		for _, end := range []lab.End{lab.FIN, lab.RST, lab.Open} {
			_, err := l.TCP(ctx, lab.TCPFlow{Family: family, Up: 1000, Down: 20000, End: end})
			must(err)
		}
		_, err := l.Forward(ctx, lab.TCPFlow{Family: family, Up: 10, Down: 10, End: lab.FIN})
		must(err)
		must(l.UDP(ctx, lab.UDPFlow{Family: family, Packets: 3, Size: 100, Answered: true}))
		must(l.UDP(ctx, lab.UDPFlow{Family: family, Packets: 1, Size: 3000}))
		must(l.Echo(ctx, lab.EchoFlow{Family: family, Packets: 2, Size: 56}))
	}
	_, err := l.Settle(ctx)
	must(err)
}

// Orphan deletes each UDP entry of a namespace, whose memory the kernel keeps for that of another
// connection that refers to it, which counts nothing. It returns how many. Loopback is left out.
func Orphan(t testing.TB, n *lab.Namespace) (orphans int) {
	const childProto = 99
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	conn, err := conntrack.Dial(&netlink.Config{NetNS: n.FD()})
	must(err)
	defer conn.Close()
	all, err := conn.Dump(nil)
	must(err)
	children := 0
	for _, f := range all {
		if f.TupleOrig.Proto.Protocol == childProto {
			children++
		}
	}
	for _, f := range all {
		if f.TupleOrig.Proto.Protocol != unix.IPPROTO_UDP || f.TupleOrig.IP.SourceAddress.IsLoopback() {
			continue
		}
		child := conntrack.NewFlow(childProto, conntrack.StatusConfirmed,
			netip.MustParseAddr("192.0.2.1"),
			netip.AddrFrom4([4]byte{198, 18, byte(children >> 8), byte(children)}), 0, 0, 86400, 0)
		child.TupleMaster = f.TupleOrig
		must(conn.Create(child))
		must(conn.Delete(f))
		orphans++
		children++
	}
	return orphans
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

package lab

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/jsimonetti/rtnetlink/v2/driver"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

func TestServerHasNoWayToTheLAN(t *testing.T) {
	l := newLab(t)
	err := l.Server.Do(func() error {
		_, err := net.Dial("tcp", net.JoinHostPort(ClientIPv4, "443"))
		return err
	})
	if !errors.Is(err, unix.ENETUNREACH) {
		t.Errorf("got %v, want ENETUNREACH", err)
	}
}

func TestSysctl(t *testing.T) {
	l := newLab(t)
	const key = "net/netfilter/nf_conntrack_acct"
	if got, err := l.Router.ReadSysctl(key); got != "1" || err != nil {
		t.Errorf("router: %q, %v", got, err)
	}
	for _, key := range []string{"kernel/hostname", "net/../kernel/hostname"} {
		if err := l.Router.Sysctl(key, "lab"); err == nil {
			t.Errorf("%s was set", key)
		}
	}
	if _, err := New(
		Options{Sysctls: map[string]string{"net/none": "1"}},
	); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("New with an unknown sysctl: %v", err)
	}
}

func TestDo(t *testing.T) {
	l := newLab(t)
	if err := l.Client.Do(
		func() error { return io.ErrUnexpectedEOF },
	); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	if err := l.Client.Do(func() error { runtime.Goexit(); return nil }); err == nil {
		t.Error("no error from a function that didn't return")
	}
}

func TestStart(t *testing.T) {
	l := newLab(t)
	// A program in the namespace sees its interfaces.
	cmd := exec.Command("cat", "/proc/self/net/dev")
	var out bytes.Buffer
	cmd.Stdout = &out
	if cmd.Err != nil {
		t.Skip(cmd.Err)
	}
	if err := l.Router.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, side := range sides() {
		if !bytes.Contains(out.Bytes(), []byte(side)) {
			t.Errorf("no %s in %s", side, &out)
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	l := newLab(t)
	observer, err := NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	defer observer.Close()
	namespaces := []*Namespace{l.Client, l.Router, l.Server}
	var names []string
	for _, n := range namespaces {
		names = append(names, nameOf(t, n))
		layProbe(t, observer, n)
	}
	mix(t, l) // leaves connections open
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	for _, name := range names {
		await(t, name+" is still in use", func() bool { return !inUse(name) })
	}
	// A cable's end vanishes with the namespace that the other end is in.
	await(t, "the kernel keeps a namespace", func() bool { return vethsIn(t, observer.FD()) == 0 })
	if n := vethsIn(t, 0); n != 0 {
		t.Errorf("%d veth in the original namespace", n)
	}
	await(t, "goroutines remain", func() bool { return runtime.NumGoroutine() <= goroutines })
	l.Client, l.Router, l.Server = nil, nil, nil // closed already
}

func layProbe(t *testing.T, observer, n *Namespace) {
	t.Helper()
	conn, err := dial(observer)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	peer := &rtnetlink.LinkMessage{Attributes: &rtnetlink.LinkAttributes{
		Name: "probe", NetNS: rtnetlink.NetNSForFD(uint32(n.FD())),
	}}
	err = conn.Link.New(&rtnetlink.LinkMessage{Attributes: &rtnetlink.LinkAttributes{
		Info: &rtnetlink.LinkInfo{Kind: "veth", Data: &driver.Veth{PeerInfo: peer}},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func vethsIn(t *testing.T, fd int) int {
	t.Helper()
	conn, err := rtnetlink.Dial(&netlink.Config{NetNS: fd})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	links, err := conn.Link.ListByKind("veth")
	if err != nil {
		t.Fatal(err)
	}
	return len(links)
}

func nameOf(t *testing.T, n *Namespace) (name string) {
	t.Helper()
	err := n.Do(func() (err error) {
		name, err = os.Readlink("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// inUse reports whether a thread or a file descriptor of this process is in or of
// the namespace.
func inUse(name string) bool {
	for _, pattern := range []string{"/proc/self/task/*/ns/net", "/proc/self/fd/*"} {
		links, _ := filepath.Glob(pattern)
		for _, link := range links {
			if to, err := os.Readlink(link); err == nil && to == name {
				return true
			}
		}
	}
	return false
}

package host

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// box is a file system with names, and the time of day there.
type box struct {
	t     *testing.T
	root  string
	now   time.Time
	names *Names
}

func newBox(t *testing.T, leases ...string) *box {
	t.Helper()
	b := &box{t: t, root: t.TempDir(), now: time.Unix(1_780_000_000, 0)}
	b.names = newNames(NamesOptions{Leases: leases, Clock: b.clock}, b.root)
	return b
}

func (b *box) clock() conntrack.Timestamp {
	return conntrack.Timestamp{Wall: b.now.UnixNano(), Mono: b.now.UnixNano()}
}

// write replaces a file, as of now, by rename.
func (b *box) write(path, content string) {
	b.t.Helper()
	path = b.root + path
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path+"~", []byte(content), 0o644); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Chtimes(path+"~", b.now, b.now); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) remove(path string) {
	b.t.Helper()
	if err := os.Remove(b.root + path); err != nil {
		b.t.Fatal(err)
	}
}

// read lets a minute pass and reads what has changed.
func (b *box) read() {
	b.now = b.now.Add(time.Minute)
	b.names.Read()
}

// want checks the name of a device, given as MAC and addresses, of which any may be missing.
func (b *box) want(device, name string) {
	b.t.Helper()
	var mac MAC
	var addrs []netip.Addr
	for _, s := range strings.Fields(device) {
		if a, err := netip.ParseAddr(s); err == nil {
			addrs = append(addrs, a)
		} else if mac, err = ParseMAC(s); err != nil {
			b.t.Fatal(err)
		}
	}
	if got := b.names.Name(mac, addrs); got != name {
		b.t.Errorf("%s is %q, want %q", device, got, name)
	}
}

func (b *box) wantProblems(want ...string) {
	b.t.Helper()
	var got []string
	for _, p := range b.names.Problems() {
		got = append(got, strings.ReplaceAll(p.Error(), b.root, ""))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		b.t.Errorf("problems %q, want %q", got, want)
	}
}

// withoutRights calls fn without root's right to read every file.
func withoutRights(t *testing.T, fn func()) {
	if os.Geteuid() != 0 {
		fn()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const nobody = 65534
	if err := unix.Setfsuid(nobody); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setfsuid(0) }()
	fn()
}

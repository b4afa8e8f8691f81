package state

import (
	"encoding/hex"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Identity identifies the kernel's table whose connections a file holds. If it differs, the
// entries are those of another table.
type Identity struct {
	Boot      [16]byte // /proc/sys/kernel/random/boot_id
	Namespace uint64   // inode of the network namespace; used again after its end
	// Cookie of the network namespace, never used again during a boot
	// (SO_NETNS_COOKIE, Linux 5.14); 0 where the kernel has none.
	Cookie uint64
	// OwnIDs says that the IDs of connections are not the kernel's but conntally's own, as
	// where eBPF may report their ends.
	OwnIDs bool
}

// Here returns the identity of the calling thread, with the kernel's IDs. A caller that has moved its
// thread to another namespace keeps it locked (runtime.LockOSThread).
func Here() (Identity, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	boot, err := bootID()
	if err != nil {
		return Identity{}, err
	}
	const path = "/proc/thread-self/ns/net"
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return Identity{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return Identity{Boot: boot, Namespace: st.Ino, Cookie: cookie()}, nil
}

func bootID() (id [16]byte, err error) {
	const path = "/proc/sys/kernel/random/boot_id"
	text, err := os.ReadFile(path)
	if err != nil {
		return id, err
	}
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%s: %q is not a boot id", path, text)
	}
	return [16]byte(b), nil
}

// cookie asks a socket, of the one kind that every probe may open.
func cookie() uint64 {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return 0
	}
	defer unix.Close(s)
	c, err := unix.GetsockoptUint64(s, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0
	}
	return c
}

// check returns why what was saved under identity i belongs to another table, or nil.
func (i *Identity) check(here *Identity) error {
	switch {
	case i.Boot != here.Boot:
		return ErrOtherBoot
	case i.OwnIDs != here.OwnIDs:
		return ErrOtherIDs
	case i.Namespace != here.Namespace:
		return fmt.Errorf("of network namespace %d, this is %d", i.Namespace, here.Namespace)
	case i.Cookie != here.Cookie && i.Cookie != 0 && here.Cookie != 0:
		return fmt.Errorf("of the network namespace with cookie %d, this is %d",
			i.Cookie, here.Cookie)
	}
	return nil
}

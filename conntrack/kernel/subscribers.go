package kernel

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// conntrackGroups are the multicast groups of new, changed and ended entries, as
// /proc/net/netlink shows memberships: group n is bit n-1.
const conntrackGroups = 0x7

// Subscriber is a socket that receives conntrack's events.
type Subscriber struct {
	Inode    uint64
	PID      int    // of a process that holds it, 0 where that can't be seen
	Program  string // its name, at most 15 bytes; "" likewise
	Reliable bool   // the kernel keeps ended entries until this socket has read them
}

// Subscribers lists those of the calling thread's network namespace.
func Subscribers() ([]Subscriber, error) {
	f, err := os.Open("/proc/thread-self/net/netlink")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	subscribers := parseSubscribers(string(text))
	if len(subscribers) == 0 {
		return nil, nil
	}
	reliable, _ := reliableSockets() // unknown to a kernel without netlink_diag
	holders := socketHolders()
	for i := range subscribers {
		l := &subscribers[i]
		l.Reliable = slices.Contains(reliable, l.Inode)
		if l.PID = holders[l.Inode]; l.PID != 0 {
			l.Program = programName(l.PID)
		}
	}
	return subscribers, nil
}

// parseSubscribers reads /proc/net/netlink (netlink_native_seq_show): address,
// protocol, port id, groups in hexadecimal, five more, inode.
func parseSubscribers(text string) (subscribers []Subscriber) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[1] != strconv.Itoa(unix.NETLINK_NETFILTER) {
			continue
		}
		groups, err := strconv.ParseUint(fields[3], 16, 32)
		inode, err2 := strconv.ParseUint(fields[9], 10, 64)
		if err == nil && err2 == nil && groups&conntrackGroups != 0 {
			subscribers = append(subscribers, Subscriber{Inode: inode})
		}
	}
	return subscribers
}

// socketHolders maps the inodes of sockets to one of the processes that hold them,
// as far as the caller may see.
func socketHolders() map[uint64]int {
	holders := map[uint64]int{}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is a good one
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			continue // closed meanwhile, or not ours to see
		}
		var inode uint64
		var pid int
		if n, _ := fmt.Sscanf(target, "socket:[%d]", &inode); n != 1 {
			continue
		}
		if n, _ := fmt.Sscanf(link, "/proc/%d/", &pid); n == 1 {
			holders[inode] = pid
		}
	}
	return holders
}

func programName(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)) // it may have ended
	return strings.TrimSpace(string(b))
}

package agent

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// startTime limits how long a program may take to begin its work.
const startTime = 10 * time.Second

// Await returns once the program works: it has opened its socket to the collector, it
// captures packets or has joined a conntrack group, and it has printed Agent.Ready.
func (r *Running) Await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		ready, err := r.works()
		if err != nil || ready && strings.Contains(r.Log(), r.Agent.Ready) {
			return err
		}
		select {
		case <-r.ended:
			return r.gone()
		case <-ctx.Done():
			return fmt.Errorf("%s has not begun to work: %w; its output:\n%s", r.Agent.Name,
				ctx.Err(), r.Log())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Gone reports whether the router has no packet socket and no conntrack subscriber left.
func (r *Running) Gone() (gone bool, err error) {
	err = r.Router.Do(func() error {
		captures, err := capturing()
		if err != nil {
			return err
		}
		reads, err := subscribed()
		gone = !captures && !reads
		return err
	})
	return gone, err
}

func (r *Running) works() (works bool, err error) {
	err = r.Router.Do(func() error {
		exports, err := exporting(r.Setting)
		if err != nil {
			return err
		}
		watches := subscribed
		if r.Agent.Captures {
			watches = capturing
		}
		watching, err := watches()
		works = exports && (watching || r.Agent.NoEvents)
		return err
	})
	return works, err
}

// capturing looks for packet sockets in /proc/net/packet.
func capturing() (bool, error) {
	lines, err := table("packet")
	return len(lines) > 0, err
}

// subscribed looks in /proc/net/netlink for a socket of netfilter that has joined a
// group: columns sk, Eth (protocol), Pid, Groups.
func subscribed() (bool, error) {
	const netfilter = "12"
	lines, err := table("netlink")
	for _, fields := range lines {
		if len(fields) > 3 && fields[1] == netfilter && strings.Trim(fields[3], "0") != "" {
			return true, nil
		}
	}
	return false, err
}

// exporting looks in /proc/net/udp for a socket that is connected to the collector,
// or for one that could send there.
func exporting(s Setting) (bool, error) {
	collector := fmt.Sprintf(":%04X", s.Collector.Port())
	lines, err := table("udp")
	for _, fields := range lines {
		if len(fields) > 2 && strings.HasSuffix(fields[2], collector) {
			return true, nil
		}
	}
	return false, err
}

// table reads a file of the thread's namespace, without its heading.
func table(name string) (lines [][]string, err error) {
	b, err := os.ReadFile("/proc/thread-self/net/" + name)
	if err != nil {
		return nil, err
	}
	for i, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		if i > 0 {
			lines = append(lines, strings.Fields(line))
		}
	}
	return lines, nil
}

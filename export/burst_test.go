package export

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/conntally/conntally/bench/lab"
)

// tool runs a program in a namespace. If it is not installed, the test is skipped.
func tool(t *testing.T, n *lab.Namespace, stdin, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + name); err != nil { // not in everybody's PATH
			t.Skip(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := n.Do(cmd.Run); err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, &out)
	}
}

// TestBurst exports the records of a dump of 20000 connections at once over a slow link: what the
// link can't take yet waits in the socket.
func TestBurst(t *testing.T) {
	l, clock := newNarrow(t), newFakeClock()
	tool(t, l.Client, "", "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "50mbit",
		"burst", "16kb", "limit", "8mb")
	c, far := l.collector(IPFIX, lab.ServerIPv4, clock)
	e := &Exporter{Collectors: []*Collector{c}}
	const records = 20000
	for range records {
		r := sample(0, clock.at.Wall)
		exportAllNow(e, &r)
	}
	e.Flush(clock.now())
	if s := &c.Stats; s.SendErrors.Load() > 0 || s.Flows.Load() != records {
		t.Fatalf("%d datagrams sent with %d records of %d, %d not",
			s.Messages.Load(), s.Flows.Load(), records, s.SendErrors.Load())
	}
	if n := len(flowsIn(t, far.receiveAll(t, c))); n != records {
		t.Errorf("%d records arrived of %d", n, records)
	}
}

package lab

import (
	"errors"
	"slices"
	"testing"

	"github.com/mdlayher/netlink"
	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"
)

// TestFill reads back by another library what Fill made, then has it flushed.
func TestFill(t *testing.T) {
	l := newLab(t)
	if err := l.Router.Sysctl("net/netfilter/nf_conntrack_timestamp", "1"); err != nil {
		t.Fatal(err)
	}
	const n, batches = 700, 2
	for i := range batches {
		if err := l.Router.Fill(1<<17-n+i*n, n); err != nil {
			t.Fatal(err)
		}
	}
	flows := filled(t, l)
	if len(flows) != batches*n {
		t.Fatalf("%d entries", len(flows))
	}
	for i := range flows {
		checkFilled(t, &flows[i])
	}
	if err := l.Router.Fill(1<<17, 1); !errors.Is(err, unix.EEXIST) {
		t.Errorf("an entry made twice: %v", err)
	}
	if err := l.Router.Flush(); err != nil {
		t.Fatal(err)
	}
	if flows := filled(t, l); len(flows) != 0 {
		t.Errorf("%d entries after Flush", len(flows))
	}
}

func TestFillRange(t *testing.T) {
	var n Namespace
	for _, r := range [][2]int{{-1, 1}, {0, -1}, {1 << 24, 1}} {
		if n.Fill(r[0], r[1]) == nil {
			t.Errorf("no error for %d entries from %d on", r[1], r[0])
		}
	}
}

// TestFillingsDiffer in both of their tuples.
func TestFillingsDiffer(t *testing.T) {
	type tuple struct {
		proto uint8
		ends  [2]any
	}
	seen := map[tuple]int{}
	for i := 0; i < fillMost; i += 257 {
		f := newFilling(i)
		orig := tuple{f.proto, [2]any{f.orig[0], f.orig[1]}}
		reply := tuple{f.proto, [2]any{f.reply[0], f.reply[1]}}
		for _, k := range [...]tuple{orig, reply} {
			if j, ok := seen[k]; ok {
				t.Fatalf("%d and %d share %v", i, j, k)
			}
			seen[k] = i
		}
	}
}

// filled returns the router's entries on the ports that Fill uses.
func filled(t *testing.T, l *Lab) []conntrack.Flow {
	t.Helper()
	conn, err := conntrack.Dial(&netlink.Config{NetNS: l.Router.FD()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	all, err := conn.Dump(nil)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all,
		func(f conntrack.Flow) bool { return f.TupleOrig.Proto.SourcePort != fillPort })
}

func checkFilled(t *testing.T, f *conntrack.Flow) {
	t.Helper()
	if !f.Status.Assured() || !f.Status.SeenReply() || f.Timeout < fillTimeout-60 {
		t.Errorf("status %v, timeout %d", f.Status, f.Timeout)
	}
	counted := f.CountersReply.Direction // set where there are counters
	if !counted || f.Timestamp.Start.IsZero() {
		t.Errorf("counted %v, start %v", counted, f.Timestamp.Start)
	}
	if tcp := f.TupleOrig.Proto.Protocol == unix.IPPROTO_TCP; tcp != (f.ProtoInfo.TCP != nil) {
		t.Errorf("protocol information %v of %v", f.ProtoInfo, f.TupleOrig)
	}
}

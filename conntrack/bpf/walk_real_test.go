//go:build amd64 || arm64 || riscv64

package bpf

import (
	"testing"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/conntrack"
)

// newWalker returns a router, and a Source that walks over its table. Its ends are not attached,
// which not every kernel that can walk allows.
func newWalker(t *testing.T, sysctls map[string]string) *twin {
	w := newRouter(t, sysctls)
	w.source = NewSource(w.reader(1<<20), SourceOptions{BPF: true}, conntrack.SystemClock())
	l := &loaded{}
	t.Cleanup(l.close)
	e := newFakeEnds(t)
	w.inside(func() error {
		netns, err := ownNamespace()
		w.must(err)
		if err := l.load(Kprobe, netns, 4096); err != nil {
			if needBPF() {
				t.Fatal(err)
			}
			t.Skip(explain(err))
		}
		e.ends.walk, err = l.loadWalk()
		return err
	})
	w.source.ends = &e.ends
	return w
}

// inside runs f in the router's network namespace.
func (w *twin) inside(f func() error) {
	w.t.Helper()
	w.must(w.Router.Do(f))
}

type entries map[conntrack.Key]conntrack.Event

// living returns what a dump shows.
func (w *twin) living(dump func(func(*conntrack.Event)) error) (all entries) {
	w.t.Helper()
	all = entries{}
	w.inside(func() error {
		return dump(func(e *conntrack.Event) {
			if e.Type != conntrack.Dump {
				return
			}
			e.ID = idOf(e)
			if _, again := all[e.Key()]; again {
				w.t.Errorf("twice: %+v", e)
			}
			all[e.Key()] = *e
		})
	})
	return all
}

// TestRealWalkEqualsDump: of entries of each protocol, with NAT, zones and marks.
func TestRealWalkEqualsDump(t *testing.T) {
	w := newWalker(t, nil)
	labtest.EachKind(w.ctx, w.t, w.Lab)
	w.invent()
	want, got := w.living(w.events.Dump), w.living(w.source.Dump)
	w.must(w.source.WalkError())
	for key, e := range want {
		g, found := got[key]
		if !found {
			t.Errorf("missing: %+v", e)
			continue
		}
		e.At = g.At
		if g != e {
			t.Errorf("\nwalk    %+v\nnetlink %+v", g, e)
		}
	}
	if len(got) != len(want) || len(got) < 20 {
		t.Errorf("the walk showed %d entries, netlink %d", len(got), len(want))
	}
	t.Log(len(got))
}

var _ = lab.Open

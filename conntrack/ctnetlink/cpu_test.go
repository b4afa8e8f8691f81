package ctnetlink_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/kernel"
)

// burnt is more CPU time than dumping a few entries takes on any machine.
const burnt = 200 * time.Millisecond

// burn uses burnt of CPU time.
func burn() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := kernel.ThreadCPU()
	for kernel.ThreadCPU()-began < burnt {
		continue
	}
}

// TestDumpCPU proves that a dump's own work counts, and nothing else.
func TestDumpCPU(t *testing.T) {
	for _, c := range []struct {
		name   string
		setup  func(*fixture)
		counts bool
	}{
		{"nothing", func(*fixture) {}, false},
		{"by what is handed an entry", func(f *fixture) {
			f.on = func(e *conntrack.Event) {
				if e.Key() == f.keys[0] {
					burn()
				}
			}
		}, true},
		{"between chunks", func(f *fixture) { f.reader.OnChunk = burn }, false},
		{"by the end of a connection", func(f *fixture) {
			f.on = func(e *conntrack.Event) {
				switch {
				case e.Type == conntrack.Destroy:
					burn()
				case e.Key() == f.keys[0]:
					f.Destroy(f.keys[2*perChunk-1])
				}
			}
		}, false},
		{"by another goroutine", func(f *fixture) {
			f.on = func(e *conntrack.Event) {
				if e.Key() == f.keys[0] {
					done := make(chan struct{})
					go func() { defer close(done); burn() }()
					<-done
				}
			}
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(2 * perChunk)
			c.setup(f)
			if err := f.dump(); err != nil {
				t.Fatal(err)
			}
			if took := f.reader.DumpCPU(); took <= 0 || (took >= burnt) != c.counts {
				t.Errorf("%v counted, %v burnt", took, burnt)
			}
		})
	}
}

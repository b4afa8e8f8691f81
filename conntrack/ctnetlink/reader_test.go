package ctnetlink_test

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// perChunk is more entries than fit into one datagram of a dump.
const perChunk = 32448 / 200

// fixture is a Reader on a Kernel, and the events that it has delivered.
type fixture struct {
	*conntracktest.Kernel
	reader *ctnetlink.Reader
	keys   []conntrack.Key
	seen   []conntrack.Event
	on     func(*conntrack.Event) // called with each; may be nil
}

func newFixture(n int) *fixture {
	f := &fixture{Kernel: conntracktest.New()}
	f.reader = f.Reader()
	for i := range n {
		f.keys = append(f.keys, f.Create(conntrack.Event{Orig: client(i)}))
	}
	return f
}

// client returns the i-th of 2^32 tuples.
func client(i int) conntrack.Tuple {
	t := tuple(conntrack.ProtoUDP, "192.0.2.1", uint16(i), "192.0.2.2", 53)
	t.Src[12], t.Src[13] = byte(i>>24), byte(i>>16)
	return t
}

func (f *fixture) hand(e *conntrack.Event) {
	f.seen = append(f.seen, *e)
	if f.on != nil {
		f.on(e)
	}
}

func (f *fixture) dump() error { return f.reader.Dump(f.hand) }
func (f *fixture) wait() error { return f.reader.Wait(time.Second, f.hand) }

// counts holds all of Stats.
type counts struct{ entries, destroys, dumps, malformed, overruns uint64 }

func (f *fixture) counts() counts {
	s := &f.reader.Stats
	return counts{
		s.Entries.Load(), s.Destroys.Load(), s.Dumps.Load(), s.Malformed.Load(), s.Overruns.Load(),
	}
}

func message(e conntrack.Event) []byte { return conntracktest.AppendEntry(nil, &e) }

// headed makes a message of only a header, with any length in it.
func headed(length uint32) []byte {
	b := message(tcpEntry())[:16]
	binary.NativeEndian.PutUint32(b, length)
	return b
}

// torn returns a message whose attributes contradict their lengths.
func torn(e conntrack.Event) []byte {
	b := message(e)
	binary.NativeEndian.PutUint16(b[20:], 1) // the first attribute's length
	return b
}

// readerCases run on a Kernel of n entries.
var readerCases = []struct {
	name  string
	n     int
	setup func(*fixture)
	do    func(*fixture) error
	fails error
	want  counts
}{
	{name: "empty table", do: (*fixture).dump, want: counts{dumps: 1}},
	{name: "one chunk", n: 3, do: (*fixture).dump, want: counts{entries: 3, dumps: 1}},
	{name: "many chunks", n: 10 * perChunk, do: (*fixture).dump,
		want: counts{entries: 10 * perChunk, dumps: 1}},
	{name: "twice", n: 3, do: func(f *fixture) error { return errors.Join(f.dump(), f.dump()) },
		want: counts{entries: 6, dumps: 2}},

	{name: "stale chunk", n: 3, setup: func(f *fixture) { f.InjectChunk(message(tcpEntry())) },
		do: (*fixture).dump, want: counts{entries: 3, dumps: 1}},
	{name: "stale end", n: 3,
		setup: func(f *fixture) { f.InjectChunk(conntracktest.AppendDone(nil, 7, 0)) },
		do:    (*fixture).dump, want: counts{entries: 3, dumps: 1}},
	{name: "stale error", n: 3, setup: func(f *fixture) {
		f.InjectChunk(conntracktest.AppendError(nil, 7, unix.EPERM, nil))
	},
		do: (*fixture).dump, want: counts{entries: 3, dumps: 1}},
	{name: "stale message before a good one", setup: func(f *fixture) {
		f.InjectChunk(append(message(tcpEntry()), conntracktest.Stamp(message(tcpEntry()), 1)...))
	}, do: (*fixture).dump, want: counts{entries: 1, dumps: 1}},
	{name: "other messages", n: 1, setup: func(f *fixture) {
		f.InjectChunk(conntracktest.Stamp(message(ended(tcpEntry())), 1)) // of type DELETE
	}, do: (*fixture).dump, want: counts{entries: 1, dumps: 1}},

	{name: "dump refused", n: 3, setup: func(f *fixture) { f.FailDump(unix.EPERM) },
		do: (*fixture).dump, fails: unix.EPERM},
	{name: "dump refused, then not", n: 3,
		setup: func(f *fixture) { f.FailDump(unix.EPERM); _ = f.dump() },
		do:    (*fixture).dump, want: counts{entries: 3, dumps: 1}},
	{name: "dump broken off", n: 1, setup: func(f *fixture) { f.BreakDump(unix.ENOMEM) },
		do: (*fixture).dump, fails: unix.ENOMEM, want: counts{entries: 1}},
	{name: "dump broken off, then not", n: 1,
		setup: func(f *fixture) { f.BreakDump(unix.ENOMEM); _ = f.dump() },
		do:    (*fixture).dump, want: counts{entries: 2, dumps: 1}},
	{name: "end without a code", setup: func(f *fixture) {
		b := conntracktest.AppendDone(nil, 1, 0)[:16]
		b[0] = 16
		f.InjectChunk(b)
	}, do: (*fixture).dump, fails: ctnetlink.ErrMalformed},

	{name: "malformed entry in a dump", n: 3, setup: func(f *fixture) {
		f.InjectChunk(conntracktest.Stamp(append(torn(tcpEntry()), message(tcpEntry())...), 1))
	}, do: (*fixture).dump, want: counts{entries: 4, dumps: 1, malformed: 1}},
	{name: "entry without its genmsg",
		setup: func(f *fixture) { f.InjectChunk(conntracktest.Stamp(headed(16), 1)) },
		do:    (*fixture).dump, want: counts{dumps: 1, malformed: 1}},
	{name: "dump of length 0", setup: func(f *fixture) { f.InjectChunk(headed(0)) },
		do: (*fixture).dump, fails: ctnetlink.ErrMalformed},
	{name: "dump of length 15", setup: func(f *fixture) { f.InjectChunk(headed(15)) },
		do: (*fixture).dump, fails: ctnetlink.ErrMalformed},
	{name: "dump past its end", setup: func(f *fixture) { f.InjectChunk(headed(17)) },
		do: (*fixture).dump, fails: ctnetlink.ErrMalformed},
	{name: "dump of a huge length", setup: func(f *fixture) { f.InjectChunk(headed(1<<32 - 1)) },
		do: (*fixture).dump, fails: ctnetlink.ErrMalformed},
	{name: "dump with half a header", setup: func(f *fixture) { f.InjectChunk(headed(16)[:8]) },
		do: (*fixture).dump, fails: ctnetlink.ErrMalformed},
	{name: "silence", setup: func(f *fixture) { f.FailChunk(os.ErrDeadlineExceeded) },
		do: (*fixture).dump, fails: os.ErrDeadlineExceeded},
	{name: "interrupted chunk", n: 3, setup: func(f *fixture) { f.FailChunk(unix.EINTR) },
		do: (*fixture).dump, want: counts{entries: 3, dumps: 1}},

	{name: "destroys", n: 3, setup: endAll, do: (*fixture).wait, want: counts{destroys: 3}},
	{name: "twice the same destroy", n: 1, setup: func(f *fixture) { f.DestroyTwice(f.keys[0]) },
		do: (*fixture).wait, want: counts{destroys: 2}},
	{name: "lost destroy", n: 1, setup: func(f *fixture) { f.LoseDestroy(f.keys[0]) },
		do: (*fixture).wait},
	{name: "several in one datagram", setup: func(f *fixture) {
		f.InjectEvent(append(message(ended(tcpEntry())), message(ended(tcpEntry()))...))
	}, do: (*fixture).wait, want: counts{destroys: 2}},
	{name: "overrun", n: 3, setup: func(f *fixture) { f.Overrun(); endAll(f); f.Overrun() },
		do: (*fixture).wait, want: counts{destroys: 3, overruns: 2}},
	{name: "datagram too long", n: 3,
		setup: func(f *fixture) { f.FailEvents(ctnetlink.ErrMalformed); endAll(f) },
		do:    (*fixture).wait, want: counts{destroys: 3, malformed: 1}},
	{name: "malformed destroy", n: 3,
		setup: func(f *fixture) { f.InjectEvent(torn(ended(tcpEntry()))); endAll(f) },
		do:    (*fixture).wait, want: counts{destroys: 3, malformed: 1}},
	{name: "good one behind a malformed one", setup: func(f *fixture) {
		f.InjectEvent(append(torn(ended(tcpEntry())), message(ended(tcpEntry()))...))
	}, do: (*fixture).wait, want: counts{destroys: 1, malformed: 1}},
	{name: "event of length 0", n: 3,
		setup: func(f *fixture) { f.InjectEvent(headed(0)); endAll(f) },
		do:    (*fixture).wait, want: counts{destroys: 3, malformed: 1}},
	{name: "event past its end", n: 3,
		setup: func(f *fixture) { f.InjectEvent(headed(1 << 20)); endAll(f) },
		do:    (*fixture).wait, want: counts{destroys: 3, malformed: 1}},
	{name: "unaligned end", setup: func(f *fixture) {
		b := append(message(ended(tcpEntry())), attr(999, 1)[:5]...)
		binary.NativeEndian.PutUint32(b, uint32(len(b)))
		f.InjectEvent(b)
	}, do: (*fixture).wait, want: counts{destroys: 1}},
	{name: "empty datagram", n: 3, setup: func(f *fixture) { f.InjectEvent(nil); endAll(f) },
		do: (*fixture).wait, want: counts{destroys: 3}},
	{name: "events of another type", setup: func(f *fixture) { f.InjectEvent(message(tcpEntry())) },
		do: (*fixture).wait},
	{name: "interrupted event", n: 3,
		setup: func(f *fixture) { f.FailEvents(unix.EINTR); endAll(f) },
		do:    (*fixture).wait, want: counts{destroys: 3}},
	{name: "broken event socket", setup: func(f *fixture) { f.FailEvents(unix.EBADF) },
		do: (*fixture).wait, fails: unix.EBADF},
	{name: "broken event socket under a dump", n: 1,
		setup: func(f *fixture) { f.FailEvents(unix.EBADF) },
		do:    (*fixture).dump, fails: unix.EBADF, want: counts{entries: 1}},

	{name: "closed, wait", setup: func(f *fixture) { f.Close() }, do: (*fixture).wait,
		fails: os.ErrClosed},
	{name: "closed, dump", setup: func(f *fixture) { f.Close() }, do: (*fixture).dump,
		fails: os.ErrClosed},
	{name: "reader closed", setup: func(f *fixture) { f.reader.Close() },
		do: (*fixture).wait, fails: os.ErrClosed},
	{name: "closed under a dump", n: 1,
		setup: func(f *fixture) { f.on = func(*conntrack.Event) { f.Close() } },
		do:    (*fixture).dump, fails: os.ErrClosed, want: counts{entries: 1}},
}

func TestReader(t *testing.T) {
	for _, c := range readerCases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(c.n)
			if c.setup != nil {
				c.setup(f)
			}
			if err := c.do(f); !errors.Is(err, c.fails) {
				t.Errorf("error %v, want %v", err, c.fails)
			}
			if got := f.counts(); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if n := uint64(len(f.seen)); n != c.want.entries+c.want.destroys {
				t.Errorf("%d handed out", n)
			}
		})
	}
}

func endAll(f *fixture) {
	for _, key := range f.keys {
		f.Destroy(key)
	}
}

// TestReaderEvents checks the values that the Reader adds to a decoded message.
func TestReaderEvents(t *testing.T) {
	f := newFixture(1)
	live := f.Entry(f.keys[0])
	live.At = f.Clock()()
	if err := f.dump(); err != nil || !slices.Equal(f.seen, []conntrack.Event{live}) {
		t.Fatalf("%v\ngot  %+v\nwant %+v", err, f.seen, live)
	}
	f.Count(f.keys[0], conntrack.Reply, 2, 300)
	f.Advance(time.Minute)
	f.StepWall(time.Hour)
	f.Delete(f.keys[0], 99)
	end := live
	end.Type, end.Portid, end.At = conntrack.Destroy, 99, f.Clock()()
	end.Counters[conntrack.Reply] = conntrack.Counters{Packets: 2, Bytes: 300}
	end.Status |= conntrack.Dying | conntrack.SeenReply
	end.Stop = end.Start + int64(time.Minute+time.Hour)
	f.seen = nil
	if err := f.wait(); err != nil || !slices.Equal(f.seen, []conntrack.Event{end}) {
		t.Fatalf("%v\ngot  %+v\nwant %+v", err, f.seen, end)
	}
}

// TestEventsBetweenChunks ends the last entry while the first is read: its end is delivered before
// the second chunk, which doesn't have the entry any more.
func TestEventsBetweenChunks(t *testing.T) {
	const n = 5 * perChunk
	f := newFixture(n)
	last := f.keys[n-1]
	f.on = func(e *conntrack.Event) {
		if e.Key() == f.keys[0] {
			f.Destroy(last)
		}
	}
	if err := f.dump(); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(f.seen, func(e conntrack.Event) bool { return e.Key() == last })
	if at < 0 || f.seen[at].Type != conntrack.Destroy || at > perChunk || len(f.seen) != n {
		t.Errorf("%d events, the end of the last is number %d", len(f.seen), at)
	}
}

// TestEventsAtTheEnd proves that a Dump delivers the ends of entries that its last chunk evicts.
func TestEventsAtTheEnd(t *testing.T) {
	f := newFixture(2)
	f.on = func(e *conntrack.Event) {
		if e.Type == conntrack.Dump && e.Key() == f.keys[1] {
			f.Destroy(f.keys[0])
		}
	}
	if err := f.dump(); err != nil || len(f.seen) != 3 || f.seen[2].Type != conntrack.Destroy {
		t.Errorf("%v: %d events", err, len(f.seen))
	}
}

// TestDumpOfResizedTableIsPartial proves that such a dump returns ErrPartial and delivers its
// entries, and that the next one is complete. If the size isn't known at first, the module was
// loaded during the dump.
func TestDumpOfResizedTableIsPartial(t *testing.T) {
	for _, c := range []struct {
		before, after int
		want          error
	}{
		{1024, 2048, conntrack.ErrPartial}, {2048, 1024, conntrack.ErrPartial}, {1024, 1024, nil},
		{0, 1024, nil}, {1024, 0, conntrack.ErrPartial},
	} {
		f := newFixture(3 * perChunk)
		f.SetBuckets(c.before)
		f.on = func(*conntrack.Event) { f.SetBuckets(c.after) }
		if err := f.dump(); !errors.Is(err, c.want) || len(f.seen) != 3*perChunk {
			t.Errorf("%d, then %d buckets: error %v, %d entries",
				c.before, c.after, err, len(f.seen))
		}
		if err := f.dump(); err != nil {
			t.Errorf("the next dump: %v", err)
		}
	}
}

// TestWaitWaits proves that Wait waits for the whole time, once.
func TestWaitWaits(t *testing.T) {
	for _, c := range []struct {
		name   string
		setup  func(*fixture)
		passes time.Duration
	}{
		{"nothing", func(*fixture) {}, time.Second},
		{"one end", func(f *fixture) { f.Destroy(f.keys[0]) }, 0},
		{"overrun alone", func(f *fixture) { f.Overrun() }, 0},
		{"interrupted", func(f *fixture) { f.reader.Interrupt() }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(1)
			c.setup(f)
			before := f.Clock()()
			if err := f.wait(); err != nil {
				t.Fatal(err)
			}
			if got := time.Duration(f.Clock()().Mono - before.Mono); got != c.passes {
				t.Errorf("%v passed, want %v", got, c.passes)
			}
		})
	}
}

// TestWaitLimit proves that Wait returns during a storm of events, and that no event is lost.
func TestWaitLimit(t *testing.T) {
	const n = 20000
	f := newFixture(n)
	endAll(f)
	waits := 0
	for ; len(f.seen) < n; waits++ {
		before := len(f.seen)
		if err := f.wait(); err != nil || len(f.seen) == before || len(f.seen)-before > n/2 {
			t.Fatalf("%v: %d at once", err, len(f.seen)-before)
		}
	}
	for i, key := range f.keys {
		if f.seen[i].Key() != key {
			t.Fatalf("end %d is another's", i)
		}
	}
	if waits < 2 {
		t.Errorf("%d waits", waits)
	}
}

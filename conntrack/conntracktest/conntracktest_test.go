package conntracktest_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// connection returns the i-th of 65536 TCP connections.
func connection(i int) conntrack.Event {
	return conntrack.Event{State: conntrack.TCPEstablished, Orig: conntrack.Tuple{
		Src:     conntrack.AddrFrom(netip.MustParseAddr("192.0.2.1")),
		Dst:     conntrack.AddrFrom(netip.MustParseAddr("192.0.2.2")),
		SrcPort: uint16(i), DstPort: 443, Family: unix.AF_INET, Proto: conntrack.ProtoTCP,
	}}
}

func create(k *conntracktest.Kernel, n int) (keys []conntrack.Key) {
	for i := range n {
		keys = append(keys, k.Create(connection(i)))
	}
	return keys
}

// dumped returns the keys of a dump in its order.
func dumped(t *testing.T, r *ctnetlink.Reader) (keys []conntrack.Key) {
	t.Helper()
	if err := r.Dump(func(e *conntrack.Event) {
		if e.Type == conntrack.Dump {
			keys = append(keys, e.Key())
		}
	}); err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestOrder proves that a dump has each living entry once, in the order of creation, however the
// chunks have changed.
func TestOrder(t *testing.T) {
	const n = 1000
	for _, c := range []struct {
		name string
		make func(*conntracktest.Kernel, []conntrack.Key) []conntrack.Key
	}{
		{"as created",
			func(_ *conntracktest.Kernel, keys []conntrack.Key) []conntrack.Key { return keys }},
		{"all have grown", func(k *conntracktest.Kernel, keys []conntrack.Key) []conntrack.Key {
			offload(k, keys, true)
			offload(k, keys, false)
			return keys
		}},
		{"grown in their chunks", func(k *conntracktest.Kernel, _ []conntrack.Key) []conntrack.Key {
			for _, key := range liveKeys(k) {
				k.LoseDestroy(key)
			}
			keys := offloaded(k, n)
			liveKeys(k) // encodes
			offload(k, keys, false)
			return keys
		}},
		{"one of two is gone",
			func(k *conntracktest.Kernel, keys []conntrack.Key) (left []conntrack.Key) {
				for i, key := range keys {
					if i%2 == 0 {
						k.LoseDestroy(key)
					} else {
						left = append(left, key)
					}
				}
				return left
			}},
		{"few are left, then more",
			func(k *conntracktest.Kernel, keys []conntrack.Key) []conntrack.Key {
				for _, key := range keys[3:] {
					k.LoseDestroy(key)
				}
				return append(keys[:3], create(k, n)...)
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := conntracktest.New()
			want := c.make(k, create(k, n))
			r := k.Reader()
			for range 3 {
				if got := dumped(t, r); !slices.Equal(got, want) {
					t.Errorf("%d entries, want %d", len(got), len(want))
				}
			}
			if k.Len() != len(want) {
				t.Errorf("%d live", k.Len())
			}
			recount(t, k, r, want)
		})
	}
}

// recount gives each entry counters of its own, and finds them in a dump.
func recount(t *testing.T, k *conntracktest.Kernel, r *ctnetlink.Reader, keys []conntrack.Key) {
	t.Helper()
	for i, key := range keys {
		k.Count(key, conntrack.Original, uint64(i+1), uint64(100*i))
	}
	i := 0
	if err := r.Dump(func(e *conntrack.Event) {
		want := k.Entry(keys[i])
		want.At = e.At
		if *e != want || e.Counters[conntrack.Original].Packets != uint64(i+1) {
			t.Errorf("entry %d: got %+v\nwant %+v", i, *e, want)
		}
		i++
	}); err != nil || i != len(keys) {
		t.Errorf("%v after %d entries", err, i)
	}
}

func liveKeys(k *conntracktest.Kernel) (keys []conntrack.Key) {
	_ = k.Reader().Dump(func(e *conntrack.Event) { keys = append(keys, e.Key()) })
	return keys
}

func offloaded(k *conntracktest.Kernel, n int) (keys []conntrack.Key) {
	for i := range n {
		e := connection(i)
		e.Status = conntrack.Offload
		keys = append(keys, k.Create(e))
	}
	return keys
}

// offload makes entries shorter or longer.
func offload(k *conntracktest.Kernel, keys []conntrack.Key, on bool) {
	for _, key := range keys {
		k.Update(key, func(e *conntrack.Event) {
			e.Status &^= conntrack.Offload
			if on {
				e.Status |= conntrack.Offload
			}
		})
	}
}

// TestChunks reads a dump as it comes: datagrams of the kernel's size, full, of
// whole messages with the request's number.
func TestChunks(t *testing.T) {
	k := conntracktest.New()
	create(k, 1000)
	_, s := k.Sockets()
	if err := s.Send(request(77, unix.NLM_F_DUMP)); err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for {
		b, err := s.Recv(time.Second)
		if err != nil {
			t.Fatal(err)
		}
		last := walk(t, b, 77)
		if last == unix.NLMSG_DONE {
			break
		}
		sizes = append(sizes, len(b))
	}
	if len(sizes) < 5 {
		t.Errorf("%d datagrams", len(sizes))
	}
	for _, size := range sizes[:len(sizes)-1] {
		if size > 32448 || size < 32448-300 {
			t.Errorf("a datagram of %d bytes", size)
		}
	}
}

// walk checks the headers of a datagram and returns the last message's type.
func walk(t *testing.T, b []byte, seq uint32) (last uint16) {
	t.Helper()
	for len(b) > 0 {
		length := binary.NativeEndian.Uint32(b)
		if flags := binary.NativeEndian.Uint16(b[6:]); flags != unix.NLM_F_MULTI {
			t.Errorf("flags %#x", flags)
		}
		if got := binary.NativeEndian.Uint32(b[8:]); got != seq {
			t.Errorf("number %d", got)
		}
		last = binary.NativeEndian.Uint16(b[4:])
		b = b[length:]
	}
	return last
}

func request(seq uint32, flags uint16) []byte {
	b := binary.NativeEndian.AppendUint32(nil, 20)
	b = binary.NativeEndian.AppendUint16(b, unix.NFNL_SUBSYS_CTNETLINK<<8|1)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	return append(b, 0, 0, 0, 0, unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0)
}

// TestRefused proves that requests for other things than a dump, and during one, are refused.
func TestRefused(t *testing.T) {
	get := request(5, unix.NLM_F_DUMP)
	change := func(at int, v byte) []byte { b := slices.Clone(get); b[at] = v; return b }
	for _, c := range []struct {
		name    string
		before  []byte
		request []byte
		want    unix.Errno
	}{
		{"no dump", nil, request(5, 0), unix.EOPNOTSUPP},
		{"a deletion", nil, change(4, 2), unix.EOPNOTSUPP},
		{"another version", nil, change(17, 1), unix.EINVAL},
		{"during a dump", get, get, unix.EBUSY},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, s := conntracktest.New().Sockets()
			if c.before != nil {
				_ = s.Send(c.before)
			}
			if err := s.Send(c.request); err != nil {
				t.Fatal(err)
			}
			b, err := s.Recv(0)
			if err != nil || binary.NativeEndian.Uint16(b[4:]) != unix.NLMSG_ERROR {
				t.Fatalf("%v: % x", err, b)
			}
			if errno := unix.Errno(-int32(binary.NativeEndian.Uint32(b[16:]))); errno != c.want {
				t.Errorf("%v", errno)
			}
		})
	}
	_, s := conntracktest.New().Sockets()
	if err := s.Send(get[:10]); !errors.Is(err, unix.EINVAL) {
		t.Errorf("half a header: %v", err)
	}
}

// TestClock proves that time moves only by Advance, and by waiting.
func TestClock(t *testing.T) {
	k := conntracktest.New()
	begin := k.Clock()()
	events, dumps := k.Sockets()
	k.Advance(time.Second)
	k.StepWall(-time.Hour)
	for _, s := range []ctnetlink.Socket{events, dumps} {
		if _, err := s.Recv(time.Minute); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		if _, err := s.Recv(-time.Minute); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	}
	now := k.Clock()()
	if d := time.Duration(now.Mono - begin.Mono); d != 2*time.Minute+time.Second {
		t.Errorf("mono moved by %v", d)
	}
	if d := time.Duration(now.Wall - begin.Wall); d != 2*time.Minute+time.Second-time.Hour {
		t.Errorf("wall moved by %v", d)
	}
}

// TestSysctls proves that the settings count at which an entry was created.
func TestSysctls(t *testing.T) {
	k := conntracktest.New()
	k.SetAcct(false)
	k.SetTimestamp(false)
	key := k.Create(connection(1))
	k.SetAcct(true)
	k.SetTimestamp(true)
	k.Count(key, conntrack.Reply, 1, 40)
	e := k.Entry(key)
	if e.Counted || e.Counters != [2]conntrack.Counters{} || e.Start != 0 ||
		e.Status&conntrack.SeenReply == 0 {
		t.Errorf("%+v", e)
	}
	r := k.Reader()
	k.Destroy(key)
	ends := 0
	_ = r.Wait(0, func(e *conntrack.Event) {
		ends++
		if e.Counted || e.Start != 0 || e.Stop != 0 {
			t.Errorf("%+v", e)
		}
	})
	if ends != 1 {
		t.Errorf("%d ends", ends)
	}
}

// TestReaders proves that each Reader gets every end while it is open.
func TestReaders(t *testing.T) {
	k := conntracktest.New()
	keys := create(k, 3)
	k.Destroy(keys[0])
	first, second := k.Reader(), k.Reader()
	k.Destroy(keys[1])
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	k.Destroy(keys[2])
	ends := 0
	if err := second.Wait(0, func(*conntrack.Event) { ends++ }); err != nil || ends != 2 {
		t.Errorf("%v, %d ends", err, ends)
	}
	if err := first.Wait(0, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v", err)
	}
	if first.Close() == nil {
		t.Error("closed twice")
	}
}

// TestDumpPausesWhileEventsWait proves that events are read before a dump evicts more entries.
func TestDumpPausesWhileEventsWait(t *testing.T) {
	k := conntracktest.New()
	r := k.Reader()
	for range 1000 { // several chunks
		k.Create(conntrack.Event{})
	}
	var ended []conntrack.Key
	for range 20_000 { // more than one Wait delivers
		ended = append(ended, k.Create(conntrack.Event{}))
	}
	for _, key := range ended {
		k.Destroy(key)
	}
	var order []conntrack.EventType
	if err := r.Dump(func(e *conntrack.Event) {
		if len(order) == 0 || order[len(order)-1] != e.Type {
			order = append(order, e.Type)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if len(order) != 3 || order[1] != conntrack.Destroy {
		t.Errorf("living and ended entries come in turns: %v", order)
	}
}

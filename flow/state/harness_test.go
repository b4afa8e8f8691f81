package state

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// here is the identity of the tests' table; began is when their first run began.
var here = Identity{Boot: [16]byte{1, 2, 3}, Namespace: 4026531840, Cookie: 7}

const began = 1_700_000_000_000_000_000

type entries = map[conntrack.Key]flow.Checkpoint

// saved returns n records that differ in each field, with keys from first on.
func saved(first, n int) []flow.Checkpoint {
	s := make([]flow.Checkpoint, n)
	for i := range s {
		s[i] = record(uint64(first + i))
	}
	return s
}

func record(n uint64) (s flow.Checkpoint) {
	o := &s.Key.Orig
	le.PutUint64(o.Src[8:], n)
	le.PutUint64(o.Dst[8:], n+1)
	o.SrcPort, o.DstPort, o.Family, o.Proto = uint16(n+2), uint16(n+3), 2, uint8(n+4)
	s.Key.Zone, s.Key.ReplyZone, s.Key.ID, s.Key.Start = uint16(n+5), uint16(n+7), uint32(n+6),
		began+int64(n)
	s.Sent = [2]conntrack.Counters{{Packets: n + 7, Bytes: n + 8}, {Packets: n + 9, Bytes: n + 10}}
	s.Until = -int64(n + 11)
	return s
}

// byKey returns what a restart must find after batches.
func byKey(batches ...[]flow.Checkpoint) entries {
	m := entries{}
	for _, s := range slices.Concat(batches...) {
		m[s.Key] = s
	}
	return m
}

func fileName(t testing.TB) string { return filepath.Join(t.TempDir(), "flows") }

// start opens the file at path, which must be possible, until the end of the test.
func start(t testing.TB, path string) (*File, Restored) {
	t.Helper()
	f, r, err := Open(path, here, began)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f, r
}

// kept leaves a file that holds batches, and returns its path and bytes.
func kept(t testing.TB, batches ...[]flow.Checkpoint) (string, []byte) {
	t.Helper()
	path := fileName(t)
	f, _ := start(t, path)
	for _, b := range batches {
		must(t, f.Append(b))
	}
	must(t, f.Close())
	b, err := os.ReadFile(path)
	must(t, err)
	return path, b
}

// holds checks what a restart finds at path.
func holds(t testing.TB, path string, want entries) Restored {
	t.Helper()
	f, r := start(t, path)
	defer f.Close()
	if r.Refused != nil || !maps.Equal(r.Checkpoints, want) {
		t.Fatalf("restored %d entries of %d, or others; refused: %v", len(r.Checkpoints), len(want),
			r.Refused)
	}
	if st, err := os.Stat(path); err != nil || st.Size() != f.Size() {
		t.Fatalf("size %d, of %v, %v", f.Size(), st, err)
	}
	return r
}

// files returns the names in path's directory.
func files(t testing.TB, path string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

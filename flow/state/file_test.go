package state

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/conntally/conntally/flow"
)

func TestRoundTrip(t *testing.T) {
	path := fileName(t)
	f, r := start(t, path)
	if r.Refused != nil || r.Torn != 0 || r.Began != began || len(r.Checkpoints) != 0 {
		t.Errorf("without a file: %+v", r)
	}
	all := saved(0, 3*batchMost+5)
	must(t, f.Append(all[:10]))
	must(t, f.Append(nil))
	must(t, f.Append(all[10:]))
	must(t, f.Close())
	for range 3 { // a run that exported nothing changes nothing
		again, r, err := Open(path, here, began+5)
		must(t, err)
		must(t, again.Close())
		if r.Began != began || r.Torn != 0 || r.Refused != nil ||
			!reflect.DeepEqual(r.Checkpoints, byKey(all)) {
			t.Errorf("began %d, torn %d, refused %v, %d entries", r.Began, r.Torn, r.Refused,
				len(r.Checkpoints))
		}
	}
	if st, err := os.Stat(path); err != nil || st.Mode() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if got := files(t, path); !slices.Equal(got, []string{"flows", "flows.lock"}) {
		t.Errorf("left: %q", got)
	}
}

// Every field of a record must make a difference in the file, down to the bit.
func TestRecordHasAllFields(t *testing.T) {
	s := record(1 << 20)
	plain := appendRecord(nil, &s)
	if len(plain) != recordSize {
		t.Fatalf("%d B, want %d", len(plain), recordSize)
	}
	for i := range 8 * len(plain) {
		b := slices.Clone(plain)
		b[i/8] ^= 1 << (i % 8)
		other := parseRecord(b)
		if other == s || !slices.Equal(appendRecord(nil, &other), b) {
			t.Errorf("bit %d of byte %d is lost", i%8, i/8)
		}
	}
	typ := reflect.TypeFor[flow.Checkpoint]()
	if int(typ.Size()) != align(recordSize, typ.Align()) { // of Key
		t.Errorf("flow.Checkpoint has %d B now", typ.Size())
	}
}

// align rounds n up to a multiple.
func align(n, multiple int) int { return (n + multiple - 1) / multiple * multiple }

func TestLaterRecordsOverride(t *testing.T) {
	all := saved(0, 100)
	later := saved(50, 100)
	for i := range later {
		later[i].Sent[1].Bytes += 1e6
	}
	path, _ := kept(t, all, later)
	holds(t, path, byKey(all, later))
	twice := []flow.Checkpoint{all[0], later[0], all[1]}
	twice[2].Key = all[0].Key
	path, _ = kept(t, twice) // within one batch too
	holds(t, path, byKey(twice))
}

func TestReplaceHoldsAllCheckpoints(t *testing.T) {
	path := fileName(t)
	f, _ := start(t, path)
	must(t, f.Append(saved(0, 5000)))
	grown := f.Size()
	living := saved(4000, 2000)
	must(t, f.Replace(slices.Values(living)))
	if f.Size() >= grown {
		t.Errorf("%d B, %d before", f.Size(), grown)
	}
	more := saved(5900, 200)
	must(t, f.Append(more))
	must(t, f.Close())
	if r := holds(t, path, byKey(living, more)); r.Began != began {
		t.Errorf("began %d", r.Began)
	}
	if got := files(t, path); !slices.Equal(got, []string{"flows", "flows.lock"}) {
		t.Errorf("left: %q", got)
	}
}

// A Replace that was killed leaves a part of a file beside the old one.
func TestLeftoverOfReplaceIsRemoved(t *testing.T) {
	all := saved(0, 10)
	path, b := kept(t, all)
	must(t, os.WriteFile(path+".tmp", b[:len(b)/2], 0o600))
	holds(t, path, byKey(all))
	if got := files(t, path); !slices.Equal(got, []string{"flows", "flows.lock"}) {
		t.Errorf("left: %q", got)
	}
}

// While all is gathered, the old file is the one that a restart finds.
func TestReplaceIsAtomic(t *testing.T) {
	path := fileName(t)
	f, _ := start(t, path)
	old := saved(0, 10)
	must(t, f.Append(old))
	must(t, f.Replace(func(yield func(flow.Checkpoint) bool) {
		for _, s := range saved(10, 5*batchMost) {
			if !yield(s) {
				t.Error("stopped early")
			}
		}
		b, err := os.ReadFile(path)
		must(t, err)
		other := fileName(t)
		must(t, os.WriteFile(other, b, 0o600))
		holds(t, other, byKey(old))
	}))
	must(t, f.Close())
	holds(t, path, byKey(saved(10, 5*batchMost)))
}

// A Replace that fails changes nothing.
func TestFailedReplaceKeepsOldFile(t *testing.T) {
	path := fileName(t)
	f, _ := start(t, path)
	old, more := saved(0, 10), saved(10, 10)
	must(t, f.Append(old))
	must(t, os.Mkdir(path+".tmp", 0o700))
	if err := f.Replace(slices.Values(more)); !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v", err)
	}
	must(t, f.Append(more))
	must(t, f.Close())
	holds(t, path, byKey(old, more))
}

func TestGrownReportsWhenToReplace(t *testing.T) {
	f, _ := start(t, fileName(t))
	living := saved(0, 20_000)
	must(t, f.Replace(slices.Values(living)))
	base, size := f.Size(), f.Size()
	for !f.Grown() {
		must(t, f.Append(living[:1000]))
		size = f.Size()
	}
	if least := 2*base + slack; size <= least || size > least+1000*recordSize+batchHeader {
		t.Errorf("grown at %d B from %d", size, base)
	}
	must(t, f.Replace(slices.Values(living)))
	if f.Grown() || f.Size() != base {
		t.Errorf("%d B after a Replace, want %d", f.Size(), base)
	}
}

// What wouldn't be read again isn't written.
func TestRecordsAreBounded(t *testing.T) {
	path := fileName(t)
	f, _ := start(t, path)
	f.most = 2*batchMost + 100
	all := saved(0, 3*batchMost)
	if err := f.Append(all); !errors.Is(err, errFull) || !f.Grown() {
		t.Errorf("%v, grown %v", err, f.Grown())
	}
	must(t, f.Append(all[:100]))
	must(t, f.Replace(slices.Values(all[:100])))
	f.most = 2 * batchMost
	must(t, f.Append(all[:batchMost]))
	if f.Grown() {
		t.Error("grown at a half")
	}
	must(t, f.Append(all[:batchMost-100]))
	if !f.Grown() {
		t.Error("not grown when full")
	}
	must(t, f.Close())
	holds(t, path, byKey(all[:batchMost]))
}

func TestClosedFileRefusesWrites(t *testing.T) {
	f, _ := start(t, fileName(t))
	must(t, f.Close())
	if err := f.Append(saved(0, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Append: %v", err)
	}
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Close: %v", err)
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	f, _ := start(t, fileName(t))
	all := saved(0, 3000)
	if n := testing.AllocsPerRun(50, func() { must(t, f.Append(all)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

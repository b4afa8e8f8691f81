package state

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// FuzzOpen opens anything, also with its CRCs made right: it is accepted or put
// aside, and can be used on in either case.
func FuzzOpen(f *testing.F) {
	_, whole := kept(f, saved(0, 2), saved(1, 3))
	for _, valid := range []bool{false, true} {
		f.Add(whole, valid)
		f.Add(whole[:len(whole)-50], valid)
		f.Add(whole[:headerSize+5], valid)
		f.Add(whole[:headerSize], valid)
		f.Add([]byte(nil), valid)
	}
	path := filepath.Join(f.TempDir(), "flows")
	f.Fuzz(func(t *testing.T, b []byte, valid bool) {
		if valid {
			b = withCRCs(bytes.Clone(b))
		}
		must(t, os.RemoveAll(path+".refused"))
		must(t, os.WriteFile(path, b, 0o600))
		file, r, err := Open(path, here, began)
		must(t, err)
		defer file.Close()
		judge(t, path, b, r, file.Size())
		more := saved(0, 1)
		must(t, file.Append(more))
		must(t, file.Close())
		want := maps.Clone(r.Checkpoints)
		maps.Copy(want, byKey(more))
		if again := holds(t, path, want); again.Torn != 0 || again.Began != r.Began {
			t.Fatalf("%+v, then %+v", r, again)
		}
	})
}

// judge compares what Open returned for b with the files that it left.
func judge(t *testing.T, path string, b []byte, r Restored, size int64) {
	t.Helper()
	aside, err := os.ReadFile(path + ".refused")
	switch {
	case r.Refused == nil && (!errors.Is(err, os.ErrNotExist) || size+r.Torn != int64(len(b))):
		t.Fatalf("accepted %d of %d B, %d torn; put aside: %v", size, len(b), r.Torn, err)
	case r.Refused == nil && len(r.Checkpoints) > len(b)/recordSize:
		t.Fatalf("%d entries of %d B", len(r.Checkpoints), len(b))
	case r.Refused != nil && (len(r.Checkpoints) != 0 || size != int64(headerSize) ||
		!bytes.Equal(aside, b)):
		t.Fatalf("refused with %d entries, %d B, %d of %d B aside", len(r.Checkpoints), size,
			len(aside), len(b))
	}
}

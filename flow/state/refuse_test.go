package state

import (
	"bytes"
	"errors"
	"hash/crc32"
	"os"
	"slices"
	"strings"
	"testing"
)

// withCRCs corrects the CRCs of a file, as far as its structure can be followed.
func withCRCs(b []byte) []byte {
	if len(b) < headerSize {
		return b
	}
	put := func(at, sum []byte) { le.PutUint32(at, crc32.Checksum(sum, crc32c)) }
	put(b[headerSize-4:], b[:headerSize-4])
	for rest := b[headerSize:]; len(rest) >= batchHeader; {
		count := le.Uint32(rest)
		end := batchHeader + int(min(count, batchMost))*recordSize
		if count > batchMost || end > len(rest) {
			put(rest[8:], rest[:8])
			break
		}
		put(rest[4:], rest[batchHeader:end])
		put(rest[8:], rest[:8])
		rest = rest[end:]
	}
	return b
}

func TestForeignFilesAreRefusedAndKept(t *testing.T) {
	all := saved(0, 3)
	_, whole := kept(t, all, all)
	set := func(at int, v uint32) []byte {
		b := slices.Clone(whole)
		le.PutUint32(b[at:], v)
		return withCRCs(b)
	}
	cases := map[string]struct {
		file []byte
		why  string
	}{
		"empty":             {nil, "only 0 B"},
		"within the header": {whole[:headerSize-1], "only 55 B"},
		"text":              {bytes.Repeat([]byte("hello "), 100), "not a state file"},
		"zeros":             {make([]byte, 1000), "not a state file"},
		"version 0":         {set(8, 0), "version 0"},
		"version 1":         {set(8, 1), "version 1"},
		"other boot":        {set(12, 9), "another boot"},
		"other IDs":         {set(8, version|ownIDs), "another [conntrack] source"},
		"other namespace":   {set(28, 9), "network namespace 9"},
		"other cookie":      {set(36, 9), "cookie 9"},
		"no records":        {set(headerSize, 0), "batch of 0 records"},
		"too many records":  {set(headerSize, batchMost+1), "batch of 1025 records"},
		"absurdly many":     {set(headerSize, 1<<32-1), "batch of 4294967295 records"},
		"zeros at the end": {append(slices.Clone(whole), make([]byte, 500)...),
			"CRC of a batch's header"},
		"a batch cut short": {slices.Delete(slices.Clone(whole), headerSize+20, headerSize+21),
			"CRC of a batch"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { refuses(t, c.file, c.why) })
	}
}

// refuses checks that a file is put aside and that another one works at once.
func refuses(t *testing.T, file []byte, why string) {
	path := fileName(t)
	must(t, os.WriteFile(path, file, 0o600))
	must(t, os.WriteFile(path+".refused", []byte("an older one"), 0o600))
	f, r, err := Open(path, here, began+9)
	must(t, err)
	if r.Refused == nil || !strings.Contains(r.Refused.Error(), why) ||
		!strings.HasPrefix(r.Refused.Error(), path) {
		t.Errorf("refused: %v, want %q", r.Refused, why)
	}
	if errors.Is(r.Refused, ErrOtherBoot) != strings.Contains(why, "boot") {
		t.Errorf("%v is another boot", r.Refused)
	}
	if len(r.Checkpoints) != 0 || r.Began != began+9 || r.Torn != 0 {
		t.Errorf("%+v", r)
	}
	if aside, err := os.ReadFile(path + ".refused"); err != nil || !bytes.Equal(aside, file) {
		t.Errorf("aside: %d B of %d, %v", len(aside), len(file), err)
	}
	must(t, f.Append(saved(5, 1)))
	must(t, f.Close())
	if r := holds(t, path, byKey(saved(5, 1))); r.Began != began+9 {
		t.Errorf("began %d", r.Began)
	}
}

// A kernel without cookies identifies a namespace by its inode alone.
func TestUnknownCookieIsAccepted(t *testing.T) {
	all := saved(0, 3)
	path, _ := kept(t, all)
	id := here
	id.Cookie = 0
	f, r, err := Open(path, id, began)
	must(t, err)
	must(t, f.Close())
	if r.Refused != nil || len(r.Checkpoints) != 3 {
		t.Errorf("%+v", r)
	}
}

// sound reads b into buf as Open does, without a file.
func sound(b, buf []byte) error {
	r := reader{from: bytes.NewReader(b), buf: buf, most: 100}
	return r.all(&here)
}

func TestTooManyRecordsAreRefused(t *testing.T) {
	all := saved(0, 25)
	_, b := kept(t, all, all, all, all)
	buf := make([]byte, batchSize)
	if err := sound(b, buf); err != nil {
		t.Errorf("100 records: %v", err)
	}
	_, b = kept(t, all, all, all, all, all[:1])
	if err := sound(b, buf); err == nil {
		t.Error("101 records were read")
	}
}

// Whatever happens to a byte, a file of which it is a part is refused.
func TestDamageAtEveryByteIsRefused(t *testing.T) {
	_, whole := kept(t, saved(0, 2), saved(1, 3), saved(2, 1))
	b, buf := slices.Clone(whole), make([]byte, batchSize)
	for i := range whole {
		for flip := 1; flip < 256; flip++ {
			b[i] = whole[i] ^ byte(flip)
			if err := sound(b, buf); err == nil || errors.Is(err, ErrOtherBoot) {
				t.Fatalf("byte %d ^ %#x: %v", i, flip, err)
			}
		}
		b[i] = whole[i]
	}
}

func TestFileTornAtEveryByteKeepsWholeBatches(t *testing.T) {
	first, last := saved(0, 2), saved(1, 3)
	_, before := kept(t, first)
	path, whole := kept(t, first, last)
	for n := len(before); n < len(whole); n++ {
		must(t, os.WriteFile(path, whole[:n], 0o600))
		if r := holds(t, path, byKey(first)); r.Torn != int64(n-len(before)) {
			t.Errorf("%d bytes cut off, want %d", r.Torn, n-len(before))
		}
		f, r := start(t, path)
		if r.Torn != 0 {
			t.Errorf("%d bytes cut off again", r.Torn)
		}
		must(t, f.Append(saved(7, 1)))
		must(t, f.Close())
		holds(t, path, byKey(first, saved(7, 1)))
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// Of this test itself, which the Go linker has made like any program.
func TestRun(t *testing.T) {
	t.Setenv("VERSION", "v0.1.0+5")
	var out, again bytes.Buffer
	for _, b := range []*bytes.Buffer{&out, &again} {
		if err := run([]string{os.Args[0]}, b); err != nil {
			t.Fatal(err)
		}
	}
	if out.String() != again.String() {
		t.Error("the same program gave two documents")
	}
	var got bom
	decoder := json.NewDecoder(&out)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	main := got.Metadata.Component
	if main.URL != "pkg:golang/github.com/conntally/conntally@v0.1.0%2B5" || main.Type != "application" || len(main.Hashes) != 1 {
		t.Errorf("the program is %+v", main)
	}
	std := component{Type: "library", Name: "std", Version: strings.TrimPrefix(runtime.Version(), "go")}
	std.URL = "pkg:golang/std@" + std.Version
	if i := slices.IndexFunc(got.Components, func(c component) bool { return c.URL == std.URL && c.Type == std.Type }); i < 0 {
		t.Errorf("no standard library among %+v", got.Components)
	}
	uuid := regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	if !uuid.MatchString(got.Serial) {
		t.Errorf("serial number %s", got.Serial)
	}
}

func TestList(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.4",
		Main:      debug.Module{Path: "example.org/program", Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "example.org/a", Version: "v1.2.3", Sum: "h1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="},
			{Path: "example.org/b", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/c", Version: "v2.0.0+incompatible"}},
		},
	}
	got := list(info, "", [32]byte{})
	want := []component{
		{Type: "library", Name: "std", Version: "1.26.4", URL: "pkg:golang/std@1.26.4"},
		{Type: "library", Name: "example.org/a", Version: "v1.2.3", URL: "pkg:golang/example.org/a@v1.2.3",
			Hashes: []hash{{"SHA-256", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"}}},
		{Type: "library", Name: "example.org/c", Version: "v2.0.0+incompatible", URL: "pkg:golang/example.org/c@v2.0.0%2Bincompatible"},
	}
	for i := range want {
		want[i].Ref = want[i].URL
	}
	equal := func(a, b component) bool {
		return slices.Equal(a.Hashes, b.Hashes) && a.Type == b.Type && a.Name == b.Name && a.Version == b.Version && a.URL == b.URL && a.Ref == b.Ref
	}
	if !slices.EqualFunc(got.Components, want, equal) {
		t.Errorf("got  %+v\nwant %+v", got.Components, want)
	}
	if d := got.Dependencies; len(d) != 1 || len(d[0].Uses) != len(want) || d[0].Ref != got.Metadata.Component.Ref {
		t.Errorf("dependencies %+v", d)
	}
}

func TestRunRefuses(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"a", "b"}, {"/does/not/exist"}, {text}} {
		if err := run(args, new(bytes.Buffer)); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"runtime/debug"
	"strings"
)

// bom is a CycloneDX document, as far as it is used here.
type bom struct {
	Format       string       `json:"bomFormat"`
	Spec         string       `json:"specVersion"`
	Serial       string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	URL     string `json:"purl"`
	Hashes  []hash `json:"hashes,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"` // hexadecimal
}

// dependency says of the program alone what it contains: who of the others needs
// whom isn't in it.
type dependency struct {
	Ref  string   `json:"ref"`
	Uses []string `json:"dependsOn"`
}

// list makes the document of a program with this hash. version "" is that which Go
// knows.
func list(info *debug.BuildInfo, version string, sum [32]byte) bom {
	main := module("application", &info.Main)
	if version != "" {
		main = describe("application", info.Main.Path, version)
	}
	main.Hashes = []hash{{"SHA-256", hex.EncodeToString(sum[:])}}
	b := bom{
		Format: "CycloneDX", Spec: "1.5", Serial: serial(sum), Version: 1,
		Metadata:   metadata{main},
		Components: []component{describe("library", "std", strings.TrimPrefix(info.GoVersion, "go"))},
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		b.Components = append(b.Components, module("library", m))
	}
	uses := make([]string, 0, len(b.Components))
	for _, c := range b.Components {
		uses = append(uses, c.Ref)
	}
	b.Dependencies = []dependency{{main.Ref, uses}}
	return b
}

// module describes one with the hash of go.sum, which is a SHA-256 of its files' hashes.
func module(kind string, m *debug.Module) component {
	c := describe(kind, m.Path, m.Version)
	if text, ok := strings.CutPrefix(m.Sum, "h1:"); ok {
		if sum, err := base64.StdEncoding.DecodeString(text); err == nil {
			c.Hashes = []hash{{"SHA-256", hex.EncodeToString(sum)}}
		}
	}
	return c
}

// describe names a module by its package URL.
func describe(kind, path, version string) component {
	url := "pkg:golang/" + path
	if version != "" {
		url += "@" + strings.ReplaceAll(version, "+", "%2B")
	}
	return component{Type: kind, Ref: url, Name: path, Version: version, URL: url}
}

// serial is a UUID (version 8, RFC 9562, 5.8) made of the program's hash.
func serial(sum [32]byte) string {
	u := sum[:16]
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

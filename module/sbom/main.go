// Command sbom lists what a Go program was built from, as a CycloneDX 1.5 document:
//
//	sbom PROGRAM >bom.cdx.json
//
// It reads what the Go linker leaves in each program. The same program gives the same
// document.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("want the program's path, got %q", args)
	}
	program, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(args[0])
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(list(info, os.Getenv("VERSION"), sha256.Sum256(program)))
}

// Package report writes results down: as Markdown, and as pictures that need nothing
// but a browser.
package report

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/conntally/conntally/bench/result"
)

// File is the report's name in the directory of the results; Table holds the short
// table alone, for other documents.
const (
	File  = "README.md"
	Table = "summary.md"
)

// Write writes the report, its table and its pictures.
func Write(s *result.Suite, dir string) error {
	for _, p := range pictures() {
		if c, ok := p.draw(s); ok {
			if err := os.WriteFile(filepath.Join(dir, p.file), c.svg(), 0o644); err != nil {
				return err
			}
		}
	}
	var text, table bytes.Buffer
	Markdown(&text, s)
	summary(&table, s)
	if err := os.WriteFile(filepath.Join(dir, File), text.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, Table), table.Bytes(), 0o644)
}

// Summary prints what matters most, as text.
func Summary(w io.Writer, s *result.Suite) {
	fmt.Fprintln(w)
	for _, v := range s.Verdicts() {
		fmt.Fprintf(w, "%-8s %s.\n         Found: %s.\n", held(v), v.Claim, v.Found)
	}
	fmt.Fprintln(w)
	summary(w, s)
}

func held(v result.Verdict) string {
	switch {
	case v.Held:
		return "holds"
	case v.Hidden || v.Found == result.NotMeasured:
		return "open"
	}
	return "FAILS"
}

// Markdown writes the whole report.
func Markdown(w io.Writer, s *result.Suite) {
	fmt.Fprint(w, "# What it costs to watch a router's traffic\n\n")
	machine(w, s)
	verdicts(w, s)
	for i := range s.Scenarios {
		if sc := &s.Scenarios[i]; len(sc.Points) > 0 {
			section(w, s, sc)
		}
	}
	programs(w, s)
	gaps(w, s)
}

func machine(w io.Writer, s *result.Suite) {
	m := s.Machine
	kind := "a machine"
	if m.Virtual {
		kind = "a virtual machine"
	}
	fmt.Fprintf(w,
		"Measured on %s on %s with %d cores (%s, %s), %d MB of memory, %s, Linux %s; "+
			"nf_conntrack_max %s, %s buckets. ",
		s.Date.Format("2006-01-02"), kind, m.Cores, m.CPU, m.Arch, m.Memory>>20,
		m.System, m.Kernel, grouped(m.Max), grouped(m.Buckets))
	if s.Emulated {
		fmt.Fprint(w, "The machine was emulated by qemu (-icount shift=0): a nanosecond of it is an "+
			"instruction, so its times count instructions, whatever else this machine does. ")
	}
	fmt.Fprint(w, "Medians over the repetitions, small: the least and the greatest. CPU is in "+
		"percent of one core. How it is measured: [bench](../../README.md). All figures: "+
		"[results.json](results.json).\n\n")
}

func verdicts(w io.Writer, s *result.Suite) {
	fmt.Fprint(w, "## What was claimed\n\n| | claim | found |\n|---|---|---|\n")
	for _, v := range s.Verdicts() {
		fmt.Fprintf(w, "| **%s** | %s | %s |\n", held(v), v.Claim, v.Found)
	}
	fmt.Fprintln(w)
}

// section writes a scenario's tables.
func section(w io.Writer, s *result.Suite, sc *result.Scenario) {
	fmt.Fprintf(w, "## %s\n\n%s.\n\n", sc.Title, upper(sc.About))
	switch sc.Name {
	case result.Home:
		homeTable(w, s, sc)
		return
	case result.Saturation:
		saturationTable(w, s, sc)
		return
	case result.Stalls:
		fmt.Fprint(w, "The longest stall:\n\n")
		matrix(w, s, sc, stall)
		fmt.Fprint(w, "The program's own CPU time:\n\n")
		matrix(w, s, sc, own)
		return
	}
	for _, p := range pictures() {
		if _, ok := p.draw(s); ok && p.scenario == sc.Name {
			fmt.Fprintf(w, "![%s](%s)\n", p.chart.title, p.file)
		}
	}
	fmt.Fprint(w, "\nThe program's own CPU time:\n\n")
	matrix(w, s, sc, own)
	fmt.Fprintf(w,
		"What the whole machine works more than without a program, the kernel's part included:\n\n")
	matrix(w, s, sc, extra)
	fmt.Fprint(w, "Packets at the collector against nftables on the router, "+
		"in the worst repetition:\n\n")
	matrix(w, s, sc, found)
	switch sc.Name {
	case result.PerFlow:
		if s.Emulated {
			instructionsPerFlow(w, s, sc)
		} else {
			breakEvens(w, s)
		}
	case result.Table:
		fmt.Fprint(w, "Memory at most:\n\n")
		matrix(w, s, sc, memory)
		dumps(w, s)
	}
}

// gaps writes what is missing.
func gaps(w io.Writer, s *result.Suite) {
	var lines []string
	lines = append(lines, s.Skipped...)
	for i := range s.Runs {
		if r := &s.Runs[i]; r.Error != "" {
			lines = append(lines,
				fmt.Sprintf("%s %d, %s, repetition %d: %s",
					r.Scenario, r.X, r.Program, r.Repeat, firstLine(r.Error)))
		}
	}
	if len(lines) == 0 {
		return
	}
	fmt.Fprint(w, "## What is missing\n\n")
	for _, line := range lines {
		fmt.Fprintf(w, "- %s\n", line)
	}
}

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkMemory measures new processes of `conntally run`: some that have read a full table,
// and some with an empty one.
func BenchmarkMemory(b *testing.B) {
	const entries = 250_000
	empty, f := newFilled(b), newFilled(b)
	f.grow(b, entries)
	var idle, full memories
	for b.Loop() {
		idle = append(idle, empty.process(b))
		full = append(full, f.process(b))
	}
	b.ReportMetric(full.median(memory.rss), "rss-MB")
	b.ReportMetric(full.median(memory.anonymous), "anonymous-MB")
	b.ReportMetric(full.median(memory.peak), "peak-rss-MB")
	b.ReportMetric(idle.median(memory.rss), "empty-rss-MB")
	b.ReportMetric(idle.median(memory.anonymous), "empty-anonymous-MB")
	b.ReportMetric(0, "ns/op")
}

// memory holds lines of a process's /proc/PID/status and smaps_rollup, in kB.
type memory map[string]int

func (m memory) rss() float64       { return megabytes(m["VmRSS:"]) }
func (m memory) peak() float64      { return megabytes(m["VmHWM:"]) }
func (m memory) anonymous() float64 { return megabytes(m["Anonymous:"]) }

func megabytes(kB int) float64 { return float64(kB) * 1024 / 1e6 }

type memories []memory

func (m memories) median(of func(memory) float64) float64 {
	values := make([]float64, len(m))
	for i := range m {
		values[i] = of(m[i])
	}
	return middle(values)
}

// process runs conntally as its users do until it has read the table once, and
// returns what it occupies then.
func (f *filled) process(b *testing.B) memory {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "run", "--collector", "127.0.0.1:9")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	log, err := cmd.StderrPipe()
	must(b, err)
	must(b, f.Start(cmd))
	awaitLine(b, log, "reading conntrack")
	m := memory{}
	for _, file := range [...]string{"status", "smaps_rollup"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", cmd.Process.Pid, file))
		must(b, err)
		m.read(string(text))
	}
	must(b, cmd.Process.Signal(unix.SIGTERM))
	_, _ = io.Copy(io.Discard, log) // or else it could wait for this test
	must(b, cmd.Wait())
	return m
}

func (m memory) read(text string) {
	for line := range strings.Lines(text) {
		var key string
		var value int
		if n, _ := fmt.Sscanf(line, "%s %d kB", &key, &value); n == 2 {
			m[key] = value
		}
	}
}

func awaitLine(b *testing.B, r io.Reader, text string) {
	b.Helper()
	for s := bufio.NewScanner(r); s.Scan(); {
		if strings.Contains(s.Text(), text) {
			return
		}
	}
	b.Fatalf("conntally ended before it said %q", text)
}

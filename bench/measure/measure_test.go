package measure

import (
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"
)

func TestParseSystem(t *testing.T) {
	before, err := parseSystem([]byte("cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 100 10 4 5 6 0 0\n" +
		"cpu1 0 0 0 200 0 0 0 0 0 0\nintr 5\n"))
	if err != nil || before.Cores != 2 || before.Idle != 3100*time.Millisecond ||
		before.Stolen != 60*time.Millisecond {
		t.Fatalf("%+v, %v", before, err)
	}
	after := before
	after.At = after.At.Add(time.Second)
	after.Idle += 1500 * time.Millisecond
	after.Stolen += 100 * time.Millisecond
	if busy := after.Busy(before); busy != 500*time.Millisecond {
		t.Errorf("busy for %v", busy)
	}
	for _, bad := range []string{"", "cpu  1 2 3 4 5\n", "cpu0 1 2\n", "cpu0 a b c d e f g h\n"} {
		if s, err := parseSystem([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, s)
		}
	}
}

func TestParseIdle(t *testing.T) {
	const list = "now at 5 nsecs\n\ncpu: 0\n  .idle_sleeptime : 8000000001 nsecs\n" +
		"  .iowait_sleeptime: 30 nsecs\ncpu: 1\n  .idle_sleeptime : 5 nsecs\n" +
		"  .iowait_sleeptime: 0 nsecs\n"
	if idle, ok := parseIdle([]byte(list)); !ok || idle != 8_000_000_036 {
		t.Errorf("%d, %t", idle, ok)
	}
	for _, bad := range []string{"", "cpu: 0\n", "  .idle_sleeptime : much\n"} {
		if idle, ok := parseIdle([]byte(bad)); ok {
			t.Errorf("%q: %d", bad, idle)
		}
	}
}

func TestParseMemory(t *testing.T) {
	if n, err := parseMemory(
		[]byte("Name:\tx\nVmPeak:\t 5 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 8 kB\n"), "VmHWM",
	); err != nil || n != 1234*1024 {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := parseMemory([]byte("Name:\tx\n"), "VmHWM"); err == nil {
		t.Error("a peak out of nothing")
	}
}

func TestReadSystem(t *testing.T) {
	before, err := ReadSystem()
	if err != nil {
		t.Fatal(err)
	}
	spin(20 * time.Millisecond)
	after, err := ReadSystem()
	if err != nil {
		t.Fatal(err)
	}
	if all := after.At.Sub(before.At) * time.Duration(
		after.Cores,
	); after.Busy(before) > all+time.Second/userHZ*2*time.Duration(after.Cores) {
		t.Errorf("busy for %v of %v", after.Busy(before), all)
	}
}

// TestReadProcesses: CPU time is seen while it is spent, and a process that has gone
// is an error rather than nothing.
func TestReadProcesses(t *testing.T) {
	self := []int{os.Getpid()}
	before, err := ReadProcesses(self)
	if err != nil {
		t.Fatal(err)
	}
	spin(20 * time.Millisecond)
	after, err := ReadProcesses(self)
	if err != nil {
		t.Fatal(err)
	}
	if after.CPU-before.CPU < 15*time.Millisecond || before.Peak < 1<<20 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if _, err := ReadProcesses([]int{1 << 30}); err == nil {
		t.Error("no error for no process")
	}
}

// spin works for so much of the process's own CPU time.
func spin(d time.Duration) {
	var ru syscall.Rusage
	used := func() time.Duration {
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
		return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	}
	for end := used() + d; used() < end; {
		continue
	}
}

func TestFamily(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	pids, err := Family(os.Getpid())
	if err != nil || !slices.Contains(pids, cmd.Process.Pid) || slices.Contains(pids, os.Getpid()) {
		t.Errorf("%v, %v: want child %d", pids, err, cmd.Process.Pid)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestReadMachine(t *testing.T) {
	m := ReadMachine()
	if m.Cores < 1 || m.Memory < 1<<20 || m.Kernel == "" || m.Arch == "" {
		t.Errorf("%+v", m)
	}
	if got := first(
		[]byte("A: 1\nmodel name\t: Some CPU\n"), ":", "model name",
	); got != "Some CPU" {
		t.Errorf("%q", got)
	}
}

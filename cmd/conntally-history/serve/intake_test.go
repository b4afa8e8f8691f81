package serve

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// intakeVariable sets for how long TestTakesInManyRecords sends, such as "30s".
const intakeVariable = "CONNTALLY_INTAKE"

// 10,000 records a second arrive, none is lost, and each byte is counted. The log has how much
// of a core that takes, which depends on the machine.
func TestTakesInManyRecords(t *testing.T) {
	const rate, size, tick = 10_000, 20, 10 * time.Millisecond
	length := time.Second
	if text := os.Getenv(intakeVariable); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", intakeVariable, err)
		}
	}
	database := enter(t)
	p := start(t, database, "", length/3)
	e := newExporter(t)
	e.bytes = 1500
	e.untilReceived(true)
	began, before := time.Now(), processCPU(t, p.cmd.Process.Pid)
	first := e.sequence
	for n := 0; time.Since(began) < length; time.Sleep(tick) {
		for due := int(time.Since(began).Seconds() * rate); n < due; n += size {
			e.send(size)
		}
	}
	took, cpu := time.Since(began), processCPU(t, p.cmd.Process.Pid)-before
	p.stop()
	got := read(t, database)
	t.Logf("%.0f records/s take %.1f %% of a core; resident at most %d kB",
		float64(e.sequence-first)/took.Seconds(), 100*cpu.Seconds()/took.Seconds(),
		p.cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	if sent := uint64(e.sequence - first); got.MissingRecords > uint64(first) || got.Records < sent {
		t.Errorf("%d records sent, %d written, %d missing", sent, got.Records, got.MissingRecords)
	}
	if got.bytes != got.Records*e.bytes || got.by != got.bytes {
		t.Errorf("%d records, %d bytes, %d by destination", got.Records, got.bytes, got.by)
	}
}

// processCPU returns the CPU time that a process has used.
func processCPU(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	var ticks int
	for _, i := range []int{11, 12} { // utime and stime, proc(5), counted from the state
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	const perSecond = 100 // USER_HZ
	return time.Duration(ticks) * time.Second / perSecond
}

package state

import (
	"bufio"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/conntally/conntally/flow"
)

// victimEnv has the path of the file that a killed process writes to.
const victimEnv = "CONNTALLY_STATE_VICTIM"

func TestMain(m *testing.M) {
	if path := os.Getenv(victimEnv); path != "" {
		fmt.Fprintln(os.Stderr, victim(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// keys is how many entries live in the victim: record n is about entry n % keys.
const keys = 5000

func victimRecord(n uint64) flow.Checkpoint {
	s := record(n % keys)
	s.Sent[0].Bytes, s.Until = n*1000, int64(n)
	return s
}

// after returns what the first n records leave.
func after(n uint64) entries {
	m := entries{}
	for i := n - min(n, keys); i < n; i++ {
		s := victimRecord(i)
		m[s.Key] = s
	}
	return m
}

// written returns how many records left m.
func written(m entries) (n uint64) {
	for _, s := range m {
		n = max(n, uint64(s.Until)+1)
	}
	return n
}

// victim continues where the last one was killed, and prints how far it has come.
func victim(path string) error {
	f, r, err := Open(path, here, began)
	if err != nil || r.Refused != nil {
		return fmt.Errorf("%w, refused: %w", err, r.Refused)
	}
	living := r.Checkpoints
	n := written(living)
	var batch []flow.Checkpoint
	for i := 1; ; i++ {
		batch = batch[:0]
		for range rand.IntN(2500) {
			batch = append(batch, victimRecord(n))
			living[batch[len(batch)-1].Key] = batch[len(batch)-1]
			n++
		}
		if err := f.Append(batch); err != nil {
			return err
		}
		fmt.Println(n)
		if i%10 == 0 {
			if err := f.Replace(maps.Values(living)); err != nil {
				return err
			}
		}
	}
}

// TestKilledWriterLosesNoWholeBatch kills a writer at random, again and again: what the next
// one reads is a beginning of what was written, and all that Append or Replace returned for.
func TestKilledWriterLosesNoWholeBatch(t *testing.T) {
	path, torn, inReplace, reached := fileName(t), 0, 0, uint64(0)
	for range 60 {
		printed := killed(t, path, rand.IntN(40))
		if slices.Contains(files(t, path), "flows.tmp") {
			inReplace++
		}
		f, r := start(t, path)
		n := written(r.Checkpoints)
		if r.Refused != nil || n < printed || n < reached || !maps.Equal(r.Checkpoints, after(n)) {
			t.Fatalf("printed %d, before %d, found %d; refused: %v", printed, reached, n, r.Refused)
		}
		if r.Torn > 0 {
			torn++
		}
		reached = n
		must(t, f.Close())
	}
	t.Logf("%d records; %d batches torn, %d times killed within Replace", reached, torn, inReplace)
}

// killed starts a victim, kills it after it has printed the given number of lines, and returns
// the last one.
func killed(t *testing.T, path string, lines int) (printed uint64) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), victimEnv+"="+path)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	in := bufio.NewReader(out)
	for i := 0; ; i++ {
		if i == lines {
			must(t, c.Process.Kill())
		}
		line, err := in.ReadString('\n')
		if err != nil {
			break
		}
		printed, err = strconv.ParseUint(strings.TrimSpace(line), 10, 64)
		must(t, err)
	}
	if err := c.Wait(); err == nil || c.ProcessState.Exited() {
		t.Fatalf("the victim ended by itself: %v", err)
	}
	return printed
}

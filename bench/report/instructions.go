package report

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/conntally/conntally/bench/result"
)

// Instructions writes a report of counted instructions alone.
func Instructions(w io.Writer, s *result.Suite) {
	fmt.Fprintf(w,
		"Instructions that the programs execute themselves (%s, counted by valgrind; the "+
			"kernel's are not among them):\n\n", s.Machine.Arch)
	fmt.Fprint(w, "| | per packet | per flow of one packet | per resting connection, each time "+
		"it is read |\n|---|---:|---:|---:|\n")
	for _, p := range s.Programs {
		i := s.InstructionsOf(p.Name)
		fmt.Fprintf(w, "| %s %s | %s | %s | %s |\n",
			p.Name, p.Version, count(i.Packet), count(i.Flow), count(i.Connection))
	}
	ours, rival := s.InstructionsOf(result.Ours), s.InstructionsOf(result.Rival)
	// In bulk each of 2000 connections is read each 10 s.
	bulk := 2000 * ours.Connection / 10
	fmt.Fprintf(w,
		"\nSo at %s packets/s of 2000 flows that go on: %s per second for softflowd, %s for "+
			"conntally.\n",
		grouped(result.ClaimRate), count(rival.Packet*result.ClaimRate), count(bulk))
}

// count writes a number of instructions; what is less than one is none.
func count(v float64) string {
	switch {
	case math.IsNaN(v):
		return "not counted"
	case v < 1:
		return "0"
	}
	return grouped(int(v))
}

// WriteInstructions writes them to a file of the directory.
func WriteInstructions(s *result.Suite, dir string) error {
	f, err := os.Create(filepath.Join(dir, "instructions.md"))
	if err != nil {
		return err
	}
	Instructions(f, s)
	return f.Close()
}

// instructionsPerFlow writes what an emulated machine has executed.
func instructionsPerFlow(w io.Writer, s *result.Suite, sc *result.Scenario) {
	fmt.Fprint(w, "Instructions per flow that the whole machine executes more than without a "+
		"program:\n\n")
	matrix(w, s, sc, func(s *result.Suite, _ string, x int, program string) string {
		if program == result.None {
			return ""
		}
		return perFlow(s.PerFlowCost(x, program))
	})
	fmt.Fprint(w, "Those of the program alone, in the kernel too:\n\n")
	matrix(w, s, sc, func(s *result.Suite, _ string, x int, program string) string {
		return perFlow(s.OwnPerFlowCost(x, program))
	})
}

func perFlow(v result.Spread) string {
	if !v.Valid() {
		return ""
	}
	return grouped(int(math.Round(v.Median)))
}

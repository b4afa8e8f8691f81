package main

import (
	"os"
	"testing"
)

// asProgram makes the test binary behave as conntally itself, for tests that need
// a process of its own.
const asProgram = "CONNTALLY_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	switch os.Getenv(asProgram) {
	case "":
		os.Exit(m.Run())
	default:
		main()
	}
}

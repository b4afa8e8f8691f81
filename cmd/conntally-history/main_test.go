package main

import (
	"bytes"
	"context"
	"testing"

	"github.com/conntally/conntally/bench/lab/labtest"
)

// execute runs a command line, and returns its exit code and output.
func execute(args ...string) (code int, stdout, stderr string) {
	return executeUntil(context.Background(), args...)
}

func executeUntil(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, fault bytes.Buffer
	code = run(ctx, args, &out, &fault)
	return code, out.String(), fault.String()
}

// need returns the path of a program, or skips the test.
func need(t *testing.T, program string) string {
	t.Helper()
	return labtest.Program(t, program)
}

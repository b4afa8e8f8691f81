package main

import (
	"context"
	"io"

	"github.com/conntally/conntally/cmd/conntally-history/check"
	"github.com/conntally/conntally/cmd/internal/checklist"
	"github.com/conntally/conntally/cmd/internal/command"
)

// runCheck is `conntally-history check`.
func runCheck(ctx context.Context, args []string, stdout, _ io.Writer) error {
	fs := command.NewFlags(name, "check",
		"can it work as configured, and is something wrong? Exit status 1 where so", stdout)
	database := bindDatabase(fs)
	asJSON := fs.Bool("json", false, "print one JSON array")
	if err := fs.Parse(args); err != nil {
		return err
	}
	c, path, err := database.load()
	if err != nil {
		return err
	}
	return checklist.Report(stdout, check.Results(check.ReadState(ctx, c, path)), *asJSON)
}

package command

import (
	"errors"
	"fmt"
)

// ErrReported is a failure that the output shows already.
var ErrReported = errors.New("failed")

// ErrUsage marks errors in the command line or the configuration.
var ErrUsage = errors.New("usage")

// UsageError returns an error with the exit code ExitUsage, of which only the format shows.
func UsageError(format string, args ...any) error {
	return fmt.Errorf("%w%w", hidden{ErrUsage}, fmt.Errorf(format, args...))
}

// hidden wraps an error for errors.Is, with an empty text.
type hidden struct{ error }

func (hidden) Error() string   { return "" }
func (h hidden) Unwrap() error { return h.error }

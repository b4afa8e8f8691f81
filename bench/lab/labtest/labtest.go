// Package labtest gives tests a lab.
package labtest

import (
	"testing"

	"github.com/conntally/conntally/bench/lab"
)

// New returns a lab that lasts as long as the test, which is skipped where there can be
// none.
func New(t testing.TB, o lab.Options) *lab.Lab {
	t.Helper()
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	l, err := lab.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

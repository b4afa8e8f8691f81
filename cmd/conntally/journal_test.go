package main

import (
	"testing"

	"github.com/conntally/conntally/conntrack"
)

// TestNoJournal: a nil journal does nothing.
func TestNoJournal(*testing.T) {
	var j *journal
	j.write()
	j.tidy(conntrack.Instant{})
	j.close(conntrack.Instant{})
}

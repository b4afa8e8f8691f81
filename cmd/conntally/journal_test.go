package main

import (
	"testing"
)

// TestNoJournal: a nil journal does nothing.
func TestNoJournal(*testing.T) {
	var j *journal
	j.write()
	j.tidy()
	j.close()
}

package probe

import (
	"testing"
)

// TestNilCheckpointerDoesNothing: a nil checkpointer does nothing.
func TestNilCheckpointerDoesNothing(*testing.T) {
	var j *checkpointer
	j.write()
	j.tidy()
	j.close()
}

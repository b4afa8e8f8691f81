package probe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/state"
)

// StateFile is the state file's name in the state directory.
const StateFile = "conntally.state"

// StateDirectory returns the directory of the state file: the configured one, or the one
// that systemd gives a service in $STATE_DIRECTORY; "" means none.
func StateDirectory(c *config.Config) string {
	if c.Flow.StateDirectory != "" {
		return c.Flow.StateDirectory
	}
	first, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":")
	return first
}

// checkpointer writes the table's changes to the state file right before the records are
// sent, so that a collector never has a record that a restarted probe would count again.
// A nil checkpointer does nothing.
type checkpointer struct {
	file  *state.File
	table *flow.Table

	report func(error) // called with the result of each write; nil error: it succeeded
}

// openCheckpointer restores the table from the state file and returns its checkpointer. The
// probe works without a usable file too, so a failure is only reported: it returns nil.
func openCheckpointer(
	directory string, ownIDs bool, table *flow.Table, now conntrack.Timestamp,
	report func(error), log *zap.Logger,
) *checkpointer {
	if directory == "" {
		return nil
	}
	id, err := state.Here()
	if err != nil {
		report(fmt.Errorf("can't identify this boot: %w", err))
		return nil
	}
	id.OwnIDs = ownIDs
	path := filepath.Join(directory, StateFile)
	file, restored, err := state.Open(path, id, now.Wall)
	if err != nil {
		report(err)
		return nil
	}
	switch {
	case errors.Is(restored.Refused, state.ErrOtherBoot):
		log.Info("the state file is from another boot: starting from scratch")
	case errors.Is(restored.Refused, state.ErrOtherIDs):
		log.Info("the state file is from another [conntrack] source: starting from scratch")
	case restored.Refused != nil:
		log.Warn("the state file was rejected and renamed: starting from scratch",
			zap.String("renamed_to", path+".refused"), zap.Error(restored.Refused))
	case len(restored.Checkpoints) > 0:
		log.Info("restored from the state file", zap.Int("connections", len(restored.Checkpoints)))
	}
	table.Restore(restored.Began, restored.Checkpoints)
	return &checkpointer{file: file, table: table, report: report}
}

// write appends what was exported since the last write. If the process is killed between
// this and the sending, the records of one datagram are lost.
func (c *checkpointer) write() {
	if c == nil {
		return
	}
	if changed := c.table.NewCheckpoints(); len(changed) > 0 {
		c.report(c.file.Append(changed))
	}
}

// compact replaces a file that has grown large by a full checkpoint. No exported record may
// be waiting to be sent.
func (c *checkpointer) compact() {
	if c != nil && c.file.Grown() {
		c.report(c.file.Replace(c.table.Checkpoints()))
	}
}

// close writes a full checkpoint and releases the file for the next process.
func (c *checkpointer) close() {
	if c == nil {
		return
	}
	c.report(c.file.Replace(c.table.Checkpoints()))
	c.file.Close()
}

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

// StateDirectory is that of the configuration, or the one that systemd gives a
// service; "" is none.
func StateDirectory(c *config.Config) string {
	if c.Flow.StateDirectory != "" {
		return c.Flow.StateDirectory
	}
	first, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":")
	return first
}

// checkpointer writes down what the table has exported, right before it is sent: nobody
// can see a record that isn't written down. A nil checkpointer does nothing.
type checkpointer struct {
	file  *state.File
	table *flow.Table

	// report is called with each result of writing the file.
	report func(error)
}

// openCheckpointer lets the table go on where the last life stopped. Without a usable
// file conntally runs as well, so that is a warning.
func openCheckpointer(directory string, table *flow.Table, now conntrack.Timestamp, report func(error), log *zap.Logger) *checkpointer {
	if directory == "" {
		return nil
	}
	id, err := state.Here()
	if err != nil {
		report(fmt.Errorf("can't tell this boot from others: %w", err))
		return nil
	}
	path := filepath.Join(directory, StateFile)
	file, restored, err := state.Open(path, id, now.Wall)
	if err != nil {
		report(err)
		return nil
	}
	switch {
	case errors.Is(restored.Refused, state.ErrOtherBoot):
		log.Info("the state file is of another boot: beginning anew")
	case restored.Refused != nil:
		log.Warn("the state file was refused and kept aside: beginning anew",
			zap.String("kept", path+".refused"), zap.Error(restored.Refused))
	case len(restored.Checkpoints) > 0:
		log.Info("going on where the last run stopped", zap.Int("connections", len(restored.Checkpoints)))
	}
	table.Restore(restored.Began, restored.Checkpoints)
	return &checkpointer{file: file, table: table, report: report}
}

// write notes what was exported since the last write. A kill between this and the
// sending loses the records of one datagram.
func (j *checkpointer) write() {
	if j == nil {
		return
	}
	if notes := j.table.NewCheckpoints(); len(notes) > 0 {
		j.report(j.file.Append(notes))
	}
}

// tidy begins the file anew where it has grown large. There must be nothing that
// is exported and waits to be sent.
func (j *checkpointer) tidy() {
	if j != nil && j.file.Grown() {
		j.report(j.file.Replace(j.table.Checkpoints()))
	}
}

// close writes all down and lets the next process have the file.
func (j *checkpointer) close() {
	if j == nil {
		return
	}
	j.report(j.file.Replace(j.table.Checkpoints()))
	j.file.Close()
}

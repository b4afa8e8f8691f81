package probe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/flow/account"
	"github.com/conntally/conntally/flow/regular"
)

const (
	// DevicesFile is the name of the file of devices in the state directory.
	DevicesFile = "devices.json"
	// deviceSize bounds what the file may have for each device, in bytes.
	deviceSize = 4 << 10
	// devicesFileSize is what it may have in any case: an earlier run may have had room for more
	// devices.
	devicesFileSize = 64 << 20
	// saveInterval is how often it is written: flash wears out, and after a crash that much
	// is missing from the devices' counters.
	saveInterval = 10 * time.Minute
)

// devicesFile keeps what devices have counted over restarts. A nil one does nothing.
type devicesFile struct {
	path   string
	report func(error) // called with the result of each write; nil error: it succeeded
}

// openDevicesFile continues the accounts of the file in a directory; "" is none. most is
// how many devices it may have. The probe works without it, so a file that can't be used
// is renamed.
func openDevicesFile(
	directory string, most int, accounts *account.Accounts, report func(error), log *zap.Logger,
) *devicesFile {
	if directory == "" {
		return nil
	}
	f := &devicesFile{path: filepath.Join(directory, DevicesFile), report: report}
	text, err := regular.Read(f.path, max(int64(most+1)*deviceSize, devicesFileSize))
	if errors.Is(err, fs.ErrNotExist) {
		return f
	}
	if err == nil {
		err = accounts.Restore(text)
	}
	if err != nil {
		_ = os.Rename(f.path, f.path+".refused")
		log.Warn("the file of devices was rejected and renamed: devices are counted from scratch",
			zap.String("renamed_to", f.path+".refused"), zap.Error(err))
	}
	return f
}

// save replaces the file, so that it is whole whenever the process or the power ends. One
// goroutine at a time may call it.
func (f *devicesFile) save(s *account.Snapshot) {
	if f == nil {
		return
	}
	f.report(replaceFile(f.path, s.Encode()))
}

func replaceFile(path string, content []byte) error {
	next := path + ".new"
	file, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return os.Rename(next, path)
}

// saveDevices saves the devices again and again until ctx is done.
func (p *Probe) saveDevices(ctx context.Context) {
	ticks := time.NewTicker(saveInterval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		if s, err := p.snapshot(ctx, 0); err == nil {
			p.devicesFile.save(s)
		}
	}
}

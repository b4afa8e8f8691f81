package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// ErrNoDevice says that this kernel has no devices of the kind that was asked for.
var ErrNoDevice = errors.New("the kernel has no such devices")

// IP runs ip(8) in the namespace with each of the lines, which hold its arguments, until one fails.
// Tests use it to add to the lab's own network.
func (n *Namespace) IP(lines string) error {
	path, err := exec.LookPath("ip")
	if err != nil {
		path = "/usr/sbin/ip" // not in every PATH
	}
	cmd := exec.Command(path, "-batch", "-")
	cmd.Stdin = strings.NewReader(lines)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = n.Do(cmd.Run)
	switch {
	case err == nil:
		return nil
	case strings.Contains(out.String(), "Unknown device type"):
		return fmt.Errorf("lab: ip: %w: %s", ErrNoDevice, bytes.TrimSpace(out.Bytes()))
	}
	return fmt.Errorf("lab: ip: %w: %s", err, bytes.TrimSpace(out.Bytes()))
}

// Path returns where in the file system the namespace is found by other programs,
// as long as this process lives.
func (n *Namespace) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.FD()) }

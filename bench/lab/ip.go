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
	family, batch := "", ""
	for line := range strings.Lines(lines) {
		own, rest := "", strings.TrimSpace(line)
		if strings.HasPrefix(rest, "-") { // which a batch doesn't take
			own, rest, _ = strings.Cut(rest, " ")
		}
		if own != family {
			if err := n.ip(family, batch); err != nil {
				return err
			}
			family, batch = own, ""
		}
		batch += rest + "\n"
	}
	return n.ip(family, batch)
}

// ip runs lines at once, which are of one family: "-4", "-6" or "" for any.
func (n *Namespace) ip(family, lines string) error {
	if strings.TrimSpace(lines) == "" {
		return nil
	}
	path, err := exec.LookPath("ip")
	if err != nil {
		path = "/usr/sbin/ip" // not in every PATH
	}
	args := []string{"-batch", "-"}
	if family != "" {
		args = append([]string{family}, args...)
	}
	cmd := exec.Command(path, args...)
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

package export

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// BindError says why a collector's socket can't be bound to its interface or VRF.
type BindError struct {
	Device string // the interface's name, or the VRF's
	Err    error
}

var errNotVRF = errors.New("not a VRF")

// Error implements error.
func (e *BindError) Error() string {
	switch {
	case errors.Is(e.Err, unix.ENODEV):
		return "there is no interface " + e.Device
	case errors.Is(e.Err, errNotVRF):
		return "interface " + e.Device + " is not a VRF"
	case errors.Is(e.Err, unix.EPERM):
		return "binding to interface " + e.Device + " takes CAP_NET_RAW before Linux 5.7"
	}
	return fmt.Sprintf("can't bind to interface %s: %v", e.Device, e.Err)
}

// Unwrap returns the reason.
func (e *BindError) Unwrap() error { return e.Err }

// device returns the name of the device that the collector's sockets are bound to, or "".
func (t *CollectorConfig) device() string { return cmp.Or(t.Interface, t.VRF) }

// dialer returns a dialer whose sockets are bound to the configured source and device.
func (t *CollectorConfig) dialer() (d net.Dialer) {
	if t.Source.IsValid() {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(t.Source, 0))
	}
	if t.device() != "" {
		d.Control = func(_, _ string, raw syscall.RawConn) error {
			var err error
			failed := raw.Control(func(fd uintptr) { err = t.bind(int(fd)) })
			return cmp.Or(failed, err)
		}
	}
	return d
}

// bind binds a socket to the device.
func (t *CollectorConfig) bind(fd int) error {
	if t.VRF != "" {
		if err := wantVRF(fd, t.VRF); err != nil {
			return &BindError{t.VRF, err}
		}
	}
	if err := unix.BindToDevice(fd, t.device()); err != nil {
		return &BindError{t.device(), err}
	}
	return nil
}

// wantVRF returns an error unless an interface is a VRF. Its driver says so: that is asked of the
// socket, which may be in another network namespace than /sys.
func wantVRF(fd int, name string) error {
	driver, err := unix.IoctlGetEthtoolDrvinfo(fd, name)
	switch {
	case errors.Is(err, unix.ENODEV):
		return err
	case err != nil || unix.ByteSliceToString(driver.Driver[:]) != "vrf":
		return errNotVRF
	}
	return nil
}

// lostDevice reports whether the device that the socket is bound to is gone or has another name:
// another device may have the name by now, and only a new socket sends by that.
func (s *socket) lostDevice() bool {
	if s.device == "" {
		return false
	}
	return s.raw.Control(s.deviceBound) != nil || s.err != nil
}

func (s *socket) deviceCall(fd uintptr) {
	name, err := unix.GetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE)
	if s.err = err; err == nil && name != s.device {
		s.err = unix.ENODEV
	}
}

package main

import (
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/internal/notify"
	"github.com/conntally/conntally/cmd/internal/notify/notifytest"
	"github.com/conntally/conntally/export/decode"
)

// TestServiceOnRealKernel: the whole program, under a service manager.
func TestServiceOnRealKernel(t *testing.T) {
	s := notifytest.New(t, time.Second)
	r := newRig(t, nil)
	var server *net.UDPConn
	err := r.Router.Do(func() (err error) { server, err = listenLoopback(); return err })
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	p := r.start(os.Args[0], "run", "--collector", server.LocalAddr().String())
	s.Until(notify.Ready)
	expectTemplates(t, server)
	s.Until("WATCHDOG=1")
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if lines := s.Until("RELOADING=1"); slices.Contains(lines, notify.Ready) {
		t.Errorf("ready before it reloads: %q", lines)
	}
	s.Until(notify.Ready)
	r.stop(p)
	if lines := s.Until(notify.Stopping); slices.Contains(lines, notify.Ready) {
		t.Errorf("ready twice: %q", lines)
	}
}

// expectTemplates holds that the first datagram, which has arrived, has templates.
func expectTemplates(t *testing.T, server *net.UDPConn) {
	t.Helper()
	b := make([]byte, 1<<16)
	if err := server.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	n, from, err := server.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatalf("ready without templates: %v", err)
	}
	m, err := decode.New(decode.Options{}).Decode(b[:n], from)
	if err != nil || m.Templates == 0 {
		t.Errorf("ready, and the first datagram is %+v, %v", m, err)
	}
}

func listenLoopback() (*net.UDPConn, error) {
	return net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
}

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRunPrintsJSON: the records of a connection, one object on each line.
func TestRunPrintsJSON(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(os.Args[0], "run", "--json")
	cmd.Env, cmd.Stdout = append(os.Environ(), asProgram+"=1"), out
	p := r.run(cmd)
	p.says("reading conntrack")
	r.udp()
	r.stop(p)
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	packets := 0
	for line := range strings.Lines(string(text)) {
		var flow struct{ Protocol, Input, Output, Packets int }
		if err := json.Unmarshal([]byte(line), &flow); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if flow.Protocol == unix.IPPROTO_UDP && flow.Input > 0 && flow.Output > 0 {
			packets += flow.Packets
		}
	}
	if packets != 6 {
		t.Errorf("%d packets, want 3 in each direction:\n%s", packets, text)
	}
}

// TestRunOnTerminal: rows of its width, with names of interfaces.
func TestRunOnTerminal(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	s := newScreen(t)
	cmd := exec.Command(os.Args[0], "run")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdin, cmd.Stdout = s.slave, s.slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	p := r.run(cmd)
	p.says("reading conntrack")
	r.udp()
	r.stop(p)
	s.await("START     PROTO  FROM                 TO                      BYTES  INTERFACES\r\n")
	s.await("lan0 > wan0")
}

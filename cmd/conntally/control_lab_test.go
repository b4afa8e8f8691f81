package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/conntally/control"
)

// output runs a command in the router, and decodes the JSON that it prints.
func (r *rig) output(object any, environment string, args ...string) {
	r.t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", environment)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := r.Router.Start(cmd); err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		r.t.Fatalf("%v: %v\n%s", args, err, &stderr)
	}
	if err := json.Unmarshal(stdout.Bytes(), object); err != nil {
		r.t.Fatalf("%v: %v\n%s", args, err, &stdout)
	}
}

// TestServiceAnswersCommands: about a client behind NAT and a collector that refuses.
func TestServiceAnswersCommands(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	directory := t.TempDir()
	socket := filepath.Join(directory, "control.sock")
	config := configFile(t, fmt.Sprintf("[control]\nsocket = %q\n", socket)+
		collectorSection("127.0.0.1:9")+
		fmt.Sprintf("[[device]]\nname = \"smart-tv\"\naddress = [%q]\n", lab.ClientIPv4))
	r.probe("--config", config, "--poll-interval", "1s", "--active-timeout", "1s")
	r.udp()
	runtime := "RUNTIME_DIRECTORY=" + directory

	var flows control.Flows
	named := func(f control.Flow) bool { return f.Name == "smart-tv" }
	for !slices.ContainsFunc(flows.Flows, named) && r.ctx.Err() == nil {
		r.output(&flows, runtime, "flows", "--json")
	}
	r.output(&flows, runtime, "flows", "--json", "--device", "smart-tv")
	f := flows.Flows[0]
	if f.Protocol != "udp" || f.Src != lab.ClientIPv4 || f.UpPackets != 3 || f.DownPackets != 3 ||
		f.Input != string(lab.LAN) || f.Output != string(lab.WAN) {
		t.Errorf("%+v", f)
	}
	var devices []control.Device
	r.output(&devices, runtime, "devices", "--json")
	found := false
	for i := range devices {
		if d := &devices[i]; d.Is("smart-tv") {
			// The lab's router has no default route, thus no uplink.
			found = d.LAN.UpPackets == 3 && d.LAN.DownPackets == 3 && d.MAC != "" &&
				d.Connections == 1
		}
	}
	if !found {
		t.Errorf("devices %+v", devices)
	}
	refused := false
	for !refused {
		var status control.Status
		r.output(&status, runtime, "status", "--json")
		refused = len(status.Collectors) == 1 && status.Collectors[0].Error != ""
		if r.ctx.Err() != nil {
			t.Fatalf("the collector never fails: %+v", status)
		}
	}
}

// TestSecondRunIsTold: with a collector, what it counts may already be counted there.
func TestSecondRunIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	const says = "conntally runs already"
	runtime := "RUNTIME_DIRECTORY=" + t.TempDir()
	start := func(args ...string) *process {
		cmd := exec.Command(os.Args[0], append([]string{"run"}, args...)...)
		cmd.Env = append(os.Environ(), asProgram+"=1", runtime)
		return r.run(cmd)
	}
	first := start("--collector", "127.0.0.1:9")
	first.says("reading conntrack")
	start("--collector", "127.0.0.1:9").says(says)
	printing := start()
	printing.says("reading conntrack")
	r.stop(printing)
	for _, p := range []*process{first, printing} {
		if strings.Contains(p.String(), says) {
			t.Errorf("%v: %s", p.cmd.Args, p)
		}
	}
}

// TestTopWithoutService: it reads the kernel itself.
func TestTopWithoutService(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	var rows struct {
		Interval float64 `json:"interval_seconds"`
		Rows     []struct {
			Connection  string
			Connections int
		}
	}
	runtime := "RUNTIME_DIRECTORY=" + t.TempDir()
	args := []string{"top", "--once", "--json", "--by", "connection"}
	r.output(&rows, runtime, args...) // turns counting on
	r.udp()
	r.output(&rows, runtime, args...)
	if rows.Interval <= 0 || len(rows.Rows) != 1 ||
		!strings.Contains(rows.Rows[0].Connection, lab.ClientIPv4) {
		t.Errorf("%+v", rows)
	}
}

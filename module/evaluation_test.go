package module

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "record what the evaluation gives")

// nix returns what evaluating one attribute of evaluate/ with the nixpkgs of $NIXPKGS
// prints, as JSON and as errors.
func nix(t *testing.T, attribute string) (stdout []byte, stderr string, err error) {
	t.Helper()
	nixpkgs := os.Getenv("NIXPKGS")
	switch {
	case nixpkgs == "" && *update:
		t.Fatal("no NIXPKGS=DIR is given")
	case nixpkgs == "":
		t.Skip("no NIXPKGS=DIR is given")
	}
	var out, complaints bytes.Buffer
	cmd := exec.Command("nix-instantiate", "--eval", "--strict", "--json", "--store", "dummy://",
		"./evaluate", "--argstr", "nixpkgs", nixpkgs, "--attr", attribute)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	return out.Bytes(), complaints.String(), err
}

func evaluate(t *testing.T, attribute string, value any) {
	t.Helper()
	out, complaints, err := nix(t, attribute)
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints)
	}
	if err := json.Unmarshal(out, value); err != nil {
		t.Fatal(err)
	}
}

// A real nixpkgs makes of the module what is recorded.
func TestEvaluation(t *testing.T) {
	fresh := evaluateRecord(t)
	fresh["sources"] = sources(t)
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(fresh); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(recordFile, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if text.String() != read(t, recordFile) {
		t.Errorf("%s says otherwise: %s, and look at the difference", recordFile, renew)
	}
}

// evaluateRecord evaluates one system at a time.
func evaluateRecord(t *testing.T) map[string]any {
	t.Helper()
	fresh, differences := map[string]any{}, map[string]any{}
	for _, key := range []string{"settings", "historySettings", "nixpkgs", "minimal"} {
		var value any
		evaluate(t, "record."+key, &value)
		fresh[key] = value
	}
	var names []string
	evaluate(t, "names", &names)
	for _, name := range names {
		var value any
		evaluate(t, "record.differences."+name, &value)
		differences[name] = value
	}
	fresh["differences"] = differences
	return fresh
}

// What is wrong is refused, by the name of the option.
func TestWrongIsRefused(t *testing.T) {
	for name, want := range map[string]string{
		"noCollector":           `services.conntally.collector = "192.0.2.10:2055"`,
		"noPort":                "option `services.conntally.collector' is not of type",
		"badPort":               "option `services.conntally.collector' is not of type",
		"badElement":            `services.conntally.settings.collector."[definition `,
		"unknownKey":            "option `services.conntally.settings.flow.activ_timeout' does not exist",
		"unknownTable":          "option `services.conntally.settings.flows' does not exist",
		"badWord":               "option `services.conntally.settings.log.level' is not of type",
		"badDuration":           "option `services.conntally.settings.flow.idle_timeout' is not of type",
		"badNumber":             "option `services.conntally.settings.conntrack.max_cpu' is not of type",
		"noAction":              `.action' was accessed but has no value`,
		"emptyCondition":        ".ports' is not of type",
		"fileAndSettings":       "services.conntally.configFile takes the place",
		"alertOnNothing":        "services.conntally.alerts are on metrics",
		"devicesWithoutMetrics": "services.conntally.metrics.devices adds to metrics, which are off",
		"devicesNotCounted":     "services.conntally.metrics.devices shows devices, which are not",
		"badMAC":                `services.conntally.devices.named."[definition `,
		"noName":                ".name' was accessed but has no value",
		"twice":                 "option `services.conntally.settings.devices.max' has conflicting",
		"openNothing":           "services.conntally.metrics.enable = true",
		"pageForAnyone":         "services.conntally.history.web.listenAddress: anyone",
		"passwordOfNobody":      "services.conntally.history.web.passwordFile is of a user",
		"unknownHistoryKey":     "option `services.conntally.history.settings.web.port' does not exist",
		"badRetention":          "option `services.conntally.history.retention.hours' is not of type",
		"badBillingDay":         "option `services.conntally.history.billingDay' is not of type",
	} {
		t.Run(name, func(t *testing.T) {
			out, complaints, err := nix(t, "wrong."+name)
			if err == nil || !strings.Contains(complaints, want) {
				t.Errorf("want an error with %q, got %v\n%s\n%s", want, err, out, complaints)
			}
		})
	}
}

func TestWrongIsComplete(t *testing.T) {
	attributes := regexp.MustCompile(`(?m)^  (\w+) = `).FindAllStringSubmatch(read(t, "evaluate/wrong.nix"), -1)
	text := read(t, "evaluation_test.go")
	for _, m := range attributes {
		if m[1] != "settings" && m[1] != "history" && !strings.Contains(text, `"`+m[1]+`":`) {
			t.Errorf("%s is evaluated by no test", m[1])
		}
	}
}

// All that the flake offers can be evaluated, on each system.
func TestFlake(t *testing.T) {
	var outputs map[string]map[string]map[string]string
	evaluate(t, "flake", &outputs)
	got := map[string]string{}
	for output, systems := range outputs {
		for system, derivations := range systems {
			got[output+" "+system] = strings.Join(slices.Sorted(maps.Keys(derivations)), " ")
		}
	}
	want := map[string]string{}
	for _, system := range []string{"aarch64-linux", "armv7l-linux", "riscv64-linux", "x86_64-linux"} {
		want["packages "+system] = "conntally default"
		want["devShells "+system] = "default"
		want["checks "+system] = "package"
	}
	want["checks aarch64-linux"], want["checks x86_64-linux"] = "package router", "package router"
	if !maps.Equal(got, want) {
		t.Errorf("the flake has %v, want %v", got, want)
	}
}

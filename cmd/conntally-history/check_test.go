package main

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// freeAddress returns an address of loopback that nobody uses at the moment.
func freeAddress(t *testing.T, network string) string {
	t.Helper()
	if network == "tcp" {
		l, err := net.Listen(network, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	l, err := net.ListenPacket(network, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.LocalAddr().String()
}

// TestCheckAsksTheServiceThatRuns: for the conditions that hold, before it starts and then.
func TestCheckAsksTheServiceThatRuns(t *testing.T) {
	directory := t.TempDir()
	file, database := filepath.Join(directory, "c.toml"), filepath.Join(directory, "h.db")
	page := freeAddress(t, "tcp")
	records := freeAddress(t, "udp")
	text := "[collector]\naddress = \"" + records + "\"\n" +
		"[web]\nlisten = \"" + page + "\"\n[devices]\nleases = []\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	look := func() (code int, statuses map[string]string, conditions map[string]bool) {
		code, out, fault := execute("check", "--json", "--config", file, "--database", database)
		var rows []struct{ Name, Status, Condition string }
		if err := json.Unmarshal([]byte(out), &rows); err != nil {
			t.Fatalf("%v: %s%s", err, out, fault)
		}
		statuses, conditions = map[string]string{}, map[string]bool{}
		for _, r := range rows {
			statuses[r.Name] = r.Status
			conditions[r.Condition] = true
		}
		return code, statuses, conditions
	}
	code, statuses, _ := look()
	if code != 0 || statuses["service"] != "warn" || statuses["database"] != "ok" {
		t.Errorf("before the start: exit %d, %v", code, statuses)
	}

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() {
		code, _, fault := executeUntil(ctx, "serve", "--config", file, "--database", database)
		t.Log(fault)
		ended <- code
	}()
	defer func() {
		stop()
		if code := <-ended; code != 0 {
			t.Errorf("serve: exit %d", code)
		}
	}()
	sender, err := net.Dial("udp", records)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	deadline := time.Now().Add(time.Minute)
	for {
		_, _ = sender.Write([]byte("neither IPFIX nor NetFlow v9")) // refused before the start
		code, statuses, conditions := look()
		if statuses["service"] == "warn" && conditions["datagrams_malformed"] {
			if code != 0 || statuses["collector"] != "ok" || statuses["page"] != "ok" {
				t.Errorf("exit %d, %v", code, statuses)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("datagrams_malformed isn't shown: %v %v", statuses, conditions)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

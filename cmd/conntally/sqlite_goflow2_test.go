package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/module/document"
)

// TestSQLiteFromGoflow2 follows docs/collectors/sqlite.md: what a router exports, by goflow2 with the
// mapping, into the database, whose views have what each host moved. Half of it is loaded before
// goflow2 begins another file.
func TestSQLiteFromGoflow2(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"jq", "sqlite3", "goflow2"} {
		need(t, name)
	}
	r := newRigWith(t, lab.Options{Internet: internet(), Sysctls: map[string]string{
		"net/netfilter/nf_conntrack_tcp_timeout_time_wait": "2"}})
	dir, port := r.sqliteDirectory(), 2062
	g := r.startGoflow2(port, filepath.Join(dir, "flows.json"),
		"-mapping", filepath.Join(dir, "mapping.yaml"))
	r.inDirectory(dir, documentedCommands(t)[0]) // creates the database
	watch := r.oracle()
	p := r.probe("--collector", address(port), "--poll-interval", "1s")
	for round := range 2 {
		for i := range 5 {
			_, err := r.TCP(r.ctx, lab.TCPFlow{Family: unix.AF_INET, Up: 100 * i, Down: 3000 * i,
				End: lab.FIN})
			if err != nil {
				t.Fatal(err)
			}
		}
		watch.untilEnded(r, 5*(round+1))
		r.untilRecords(filepath.Join(dir, "flows.json"), 10)
		load := strings.ReplaceAll(documentedCommands(t)[1], "pkill -HUP goflow2",
			fmt.Sprintf("kill -HUP %d", g.cmd.Process.Pid))
		r.inDirectory(dir, load)
	}
	r.stop(p)
	r.hostsMoved(filepath.Join(dir, "flows.db"))
	for _, query := range documentedQueries(t) {
		t.Logf("%s\n%s", query, r.query(filepath.Join(dir, "flows.db"), query))
	}
}

// hostsMoved compares the views with what the router forwarded: up and down of its one host.
func (r *rig) hostsMoved(db string) {
	r.t.Helper()
	forwarded := r.forwarded(tcp4())
	for _, view := range []string{"host_days", "host_months"} {
		got := r.query(db, "select host, sum(up + down), sum(up) > 0, sum(down) > 0 from "+view+
			" where host = '"+lab.ClientIPv4+"' group by 1")
		if want := fmt.Sprintf("%s|%d|1|1", lab.ClientIPv4, forwarded.Bytes); got != want {
			r.t.Errorf("%s has %s, want %s:\n%s", view, got, want, r.query(db, "select * from flows"))
		}
	}
}

// sqliteDirectory is a copy of docs/collectors/sqlite.
func (r *rig) sqliteDirectory() string {
	r.t.Helper()
	dir := r.t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../docs/collectors/sqlite")); err != nil {
		r.t.Fatal(err)
	}
	return dir
}

// untilRecords waits for goflow2 to have written so many records.
func (r *rig) untilRecords(file string, n int) {
	r.t.Helper()
	for len(fromGoflow2(r.t, file)) < n {
		if err := r.ctx.Err(); err != nil {
			b, _ := os.ReadFile(file)
			r.t.Fatalf("%v\n%s", err, b)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (r *rig) inDirectory(dir, commands string) {
	r.t.Helper()
	cmd := exec.CommandContext(r.ctx, "sh", "-ec", commands)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		r.t.Fatalf("%s: %v\n%s", commands, err, out)
	}
}

// sqliteDocument has the commands that create the database, those that load what goflow2 wrote, and
// queries.
const sqliteDocument = "../../docs/collectors/sqlite.md"

func documentedCommands(t *testing.T) []string {
	t.Helper()
	blocks, err := document.Texts(sqliteDocument, "sh")
	if err != nil || len(blocks) != 2 {
		t.Fatalf("%d blocks of commands, %v", len(blocks), err)
	}
	return blocks
}

func documentedQueries(t *testing.T) []string {
	t.Helper()
	queries, err := document.Queries(sqliteDocument)
	if err != nil || len(queries) < 5 {
		t.Fatalf("%d queries, %v", len(queries), err)
	}
	return queries
}

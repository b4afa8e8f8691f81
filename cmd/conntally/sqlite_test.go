package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
)

// TestSQLiteDatabaseOfThreeRouters puts what three routers export, two by IPFIX and one by v9,
// into the one database that docs/collectors/sqlite describes.
func TestSQLiteDatabaseOfThreeRouters(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, lab.Options{Internet: internet(), Sysctls: map[string]string{
		"net/netfilter/nf_conntrack_tcp_timeout_time_wait": "2"}})
	const port = 2061
	db := r.database()
	p := r.startNfacctd(r.nfacctdConfig(db, port, 5), port)
	routers := map[string]string{"127.0.0.11": "ipfix", "127.0.0.12": "ipfix",
		"127.0.0.13": "netflow9"}
	var probes []*process
	for source, protocol := range routers {
		probes = append(probes, r.probe("--config", r.exporting(port, source, protocol)))
	}
	watch := r.oracle()
	for i := range 10 {
		_, err := r.TCP(r.ctx, lab.TCPFlow{Family: unix.AF_INET, Up: 100 * i, Down: 3000 * i,
			End: lab.FIN})
		if err != nil {
			t.Fatal(err)
		}
	}
	watch.untilEnded(r, 10)
	for _, probe := range probes {
		r.stop(probe)
	}
	r.untilWritten(p, len(routers)*10*2)
	r.endNfacctd(p)
	forwarded := r.forwarded(tcp4())
	for source := range routers {
		query := fmt.Sprintf(
			"select sum(packets), sum(bytes) from flows where peer_ip_src = '%s' and ip_proto = "+
				"'tcp'", source)
		got, want := r.query(db, query), fmt.Sprintf("%d|%d", forwarded.Packets, forwarded.Bytes)
		if got != want {
			t.Errorf("of %s: %s, forwarded %s\n%s", source, got, want, p)
		}
	}
	t.Logf("peer|records|bytes:\n%s",
		r.query(db, "select peer_ip_src, count(*), sum(bytes) from flows group by 1"))
	r.query(db, "delete from flows where peer_ip_src <> '127.0.0.11'") // all saw the same
	r.hostsMoved(db)
}

// database creates the documented database.
func (r *rig) database() string {
	r.t.Helper()
	schema, err := os.ReadFile("../../docs/collectors/sqlite/schema.sql")
	if err != nil {
		r.t.Fatal(err)
	}
	db := filepath.Join(r.t.TempDir(), "flows.db")
	r.query(db, string(schema))
	return db
}

func (r *rig) query(db, sql string) string {
	r.t.Helper()
	cmd := exec.Command(need(r.t, "sqlite3"), db)
	cmd.Stdin = strings.NewReader(sql + ";")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s: %v\n%s", sql, err, out)
	}
	return strings.TrimSpace(string(out))
}

// nfacctdConfig is the one of docs/collectors/sqlite, with another database and port, and written to
// in other intervals.
func (r *rig) nfacctdConfig(db string, port, seconds int) string {
	r.t.Helper()
	b, err := os.ReadFile("../../docs/collectors/sqlite/nfacctd.conf")
	if err != nil {
		r.t.Fatal(err)
	}
	text := strings.NewReplacer("/var/lib/pmacct/flows.db", db, "nfacctd_port: 2055",
		fmt.Sprint("nfacctd_port: ", port), "sql_refresh_time[flows]: 10",
		fmt.Sprint("sql_refresh_time[flows]: ", seconds)).Replace(string(b))
	return r.file("nfacctd.conf", text)
}

// exporting is a configuration that exports from one of the router's own addresses.
func (r *rig) exporting(port int, source, protocol string) string {
	return r.file(source+".toml", fmt.Sprintf(`[[collector]]
address  = %q
source   = %q
protocol = %q
[conntrack]
poll_interval = "1s"
`, address(port), source, protocol))
}

func (r *rig) file(name, text string) string {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

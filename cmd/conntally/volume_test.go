package main

import (
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/module/document"
)

// TestVolumeIsDocumented has each collector store the same 20,000 records, and compares the octets
// of a record, on the wire and on disk, with the table in docs/collectors/volume.md.
func TestVolumeIsDocumented(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	stores := r.stores()
	var collectors []export.CollectorConfig
	for i := range stores {
		collectors = append(collectors, export.CollectorConfig{Address: address(stores[i].port),
			Protocol: stores[i].protocol})
	}
	const rounds, pairs = 200, 50
	f := r.feed(collectors...)
	for range rounds {
		f.send(pairs, time.Second)
		for i := range stores {
			r.untilRead(stores[i].port)
		}
	}
	measured, records := map[string]float64{}, 2*rounds*pairs
	for i, c := range f.exporter.Collectors {
		sent := float64(c.Stats.Octets.Load()) / float64(records)
		measured["on the wire, "+stores[i].protocol.String()] = sent
		measured[stores[i].name] = stores[i].perRecord(records)
	}
	documented := documentedVolume(t)
	for name, got := range measured {
		t.Logf("%s: %.0f octets a record", name, got)
		if want := documented[name]; math.Abs(got-want) > want/20 {
			t.Errorf("%s: %.1f octets a record, docs/collectors/volume.md has %.0f", name, got, want)
		}
		delete(documented, name)
	}
	if len(documented) > 0 {
		t.Errorf("not measured: %v", documented)
	}
}

// store is a collector that stores records. perRecord ends it, once it has so many, and returns the
// octets of each on disk.
type store struct {
	name      string
	port      int
	protocol  export.Protocol
	perRecord func(records int) float64
}

func (r *rig) stores() []store {
	all := []store{
		{name: "nfcapd", port: 2081, protocol: export.IPFIX},
		{name: "nfcapd -z (LZO)", port: 2082, protocol: export.NetFlow9},
		{name: "nfcapd -y (LZ4)", port: 2083, protocol: export.IPFIX},
		{name: "nfcapd -j (bzip2)", port: 2084, protocol: export.IPFIX},
	}
	for i, option := range []string{"", "-z", "-y", "-j"} {
		all[i].perRecord = r.nfcapdStore(all[i].port, option)
	}
	json := filepath.Join(r.t.TempDir(), "flows.json")
	return append(all,
		store{"goflow2, JSON", 2085, export.IPFIX, r.goflow2Store(2085, json)},
		store{"SQLite, by nfacctd", 2086, export.IPFIX, r.nfacctdStore(2086)})
}

func (r *rig) nfcapdStore(port int, option string) (perRecord func(int) float64) {
	r.t.Helper()
	dir := r.t.TempDir()
	p := r.startNfcapd(port, dir, strings.Fields(option)...)
	return func(records int) float64 {
		r.endNfcapd(p, port)
		var n int64
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				n += fileSize(r.t, path)
			}
			return err
		})
		if err != nil {
			r.t.Fatal(err)
		}
		return float64(n) / float64(records)
	}
}

func (r *rig) goflow2Store(port int, file string) (perRecord func(int) float64) {
	r.t.Helper()
	p := r.startGoflow2(port, file, "-mapping", "../../docs/collectors/sqlite/mapping.yaml")
	return func(records int) float64 {
		r.untilRecords(file, records)
		r.stop(p)
		return float64(fileSize(r.t, file)) / float64(records)
	}
}

func (r *rig) nfacctdStore(port int) (perRecord func(int) float64) {
	r.t.Helper()
	db := r.database()
	// It writes at the end, at once: of two writers at a time, one would find the database locked.
	p := r.start(need(r.t, "nfacctd"), "-f", r.nfacctdConfig(db, port, 3600))
	r.untilListening(port)
	return func(records int) float64 {
		r.endNfacctd(p)
		n, err := strconv.Atoi(r.query(db, "select count(*) from flows"))
		if err != nil || n < records*9/10 { // a busy machine's drops some: a queue overflows
			r.t.Fatalf("%d of %d records: %v\n%s", n, records, err, p)
		}
		return float64(fileSize(r.t, db)) / float64(n)
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// documentedVolume reads the table: what, octets of a record.
func documentedVolume(t *testing.T) map[string]float64 {
	t.Helper()
	b, err := os.ReadFile("../../docs/collectors/volume.md")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \| (\d+) \|`).FindAllStringSubmatch(string(b), -1) {
		if values[row[1]], err = strconv.ParseFloat(row[2], 64); err != nil {
			t.Fatal(err)
		}
	}
	return values
}

// TestDNSIsLeftOut: the filter of docs/collectors/volume.md excludes DNS, and nothing else.
func TestDNSIsLeftOut(t *testing.T) {
	t.Parallel()
	filters, err := document.Texts("../../docs/collectors/volume.md", "toml")
	if err != nil || len(filters) == 0 {
		t.Fatalf("no filter is documented: %v", err)
	}
	r := newRig(t, nil)
	s := r.sink()
	p := r.probe("--config", configFile(t, collectorSection(s.Address())+filters[0]))
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		_, err := r.TCP(r.ctx, lab.TCPFlow{Family: family, Down: 1000, End: lab.FIN})
		if err == nil {
			err = r.UDP(r.ctx, lab.UDPFlow{Family: family, Packets: 1, Answered: true}) // port 53
		}
		if err == nil {
			err = r.UDP(r.ctx, lab.UDPFlow{Family: family, Packets: 1}) // another one
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r.stop(p)
	ports := map[uint16]int{}
	for _, f := range s.all() {
		ports[f.SrcPort]++
		ports[f.DstPort]++
	}
	if ports[53] > 0 || ports[443] != 4 || ports[9] != 2 {
		t.Errorf("records by port: %v", ports)
	}
}

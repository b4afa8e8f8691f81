package store

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// household is a seeded model of 50 devices: each moves something in four of five flushes, and a
// third of them within the LAN, too. Of 2000 destinations of a day, 500 are active in an hour.
type household struct {
	random  *rand.Rand
	s       *Store
	at      time.Time
	flushes int
	pending map[usage.Destination]usage.DestinationUsage
}

func newHousehold(s *Store, from time.Time) *household {
	return &household{random: rand.New(rand.NewPCG(1, 2)), s: s, at: from,
		pending: map[usage.Destination]usage.DestinationUsage{}}
}

const householdDevices = 50

func householdDevice(n int) string { return fmt.Sprintf("02:00:00:00:%02x:%02x", n>>8, n&255) }

// counters are of one device in five minutes, or of a destination: sizes vary by magnitudes.
func (h *household) counters(largest int) usage.Counters {
	down := uint64(1) << h.random.IntN(largest)
	down += h.random.Uint64N(down)
	up := down/10 + h.random.Uint64N(100)
	return usage.Counters{UpBytes: up, DownBytes: down, UpPackets: 1 + up/120,
		DownPackets: 1 + down/1200}
}

// active is how many destinations are active in an hour: at night fewer. Six of each device are
// always, such as those that phones and televisions keep a connection to.
func (h *household) active() int {
	if h.at.In(h.s.options.Calendar.Location).Hour() < 7 {
		return 350
	}
	return 550
}

// destination returns one of the destinations of the day and device that n stands for.
func destination(day usage.Day, device, n int) usage.Destination {
	d := usage.Destination{Day: day, Device: householdDevice(device), Protocol: 6, Port: 443}
	mixed := uint64(n*householdDevices+device)*0x9e3779b97f4a7c15 + uint64(day%7)
	if n%3 == 0 {
		d.Remote = netip.MustParseAddr(fmt.Sprintf("2001:db8:%x:%x::%x", mixed>>16&0xffff,
			mixed>>32&0xffff, mixed>>48))
		d.Protocol = 17
	} else {
		d.Remote = netip.AddrFrom4([4]byte{198, byte(mixed >> 8), byte(mixed >> 16), byte(mixed >> 24)})
	}
	return d
}

// next returns the batch of the next five minutes.
func (h *household) next() *usage.Batch {
	h.at = h.at.Add(5 * time.Minute)
	h.flushes++
	hour, day := h.s.options.Calendar.Hour(h.at.Add(-time.Second))
	exporter := usage.Exporter{Address: netip.MustParseAddr("127.0.0.1"), Version: 10, Domain: 1}
	b := &usage.Batch{At: h.at, Hours: map[usage.DeviceHour]usage.Usage{},
		Exporters: map[usage.ExporterHour]usage.Intake{{Hour: hour, Day: day, Exporter: exporter}: {
			Datagrams: 600, Records: 12000, Bytes: h.random.Uint64N(1e9)}},
		Sequences: map[usage.Exporter]usage.Sequence{exporter: {Port: 40000, Next: h.random.Uint32()}}}
	for n := range householdDevices {
		if h.random.IntN(5) == 0 {
			continue
		}
		u := usage.Usage{WAN: h.counters(27)}
		if n%3 == 0 {
			u.LAN = h.counters(24)
		}
		b.Hours[usage.DeviceHour{Hour: hour, Day: day, Device: householdDevice(n)}] = u
		b.Devices = append(b.Devices, usage.Device{ID: householdDevice(n), MAC: householdDevice(n),
			Name: fmt.Sprintf("device-%d", n), Vendor: "Vendor and Sons", First: h.at, Last: h.at,
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 168, 1, byte(n)}),
				netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", n))}})
	}
	if h.flushes%12 == 0 {
		for n := range h.active() {
			d := destination(day, h.random.IntN(householdDevices), 6+h.random.IntN(34))
			if n < householdDevices*6 {
				d = destination(day, n/6, n%6)
			}
			u := usage.DestinationUsage{Usage: usage.Usage{WAN: h.counters(22)},
				UpContacts: 1 + h.random.Uint64N(30), First: h.at.Add(-50 * time.Minute), Last: h.at}
			u.DownContacts = u.UpContacts
			h.pending[d] = u
		}
		b.Destinations = h.pending
		h.pending = map[usage.Destination]usage.DestinationUsage{}
	}
	return b
}

// ioBytes returns what this process has written: to files, and to the disk below them.
func ioBytes(t testing.TB) (written, toDisk int64) {
	t.Helper()
	f, err := os.Open("/proc/self/io")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close() // read only
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		n, _ := strconv.ParseInt(value, 10, 64)
		switch name {
		case "wchar":
			written = n
		case "write_bytes":
			toDisk = n
		}
	}
	return written, toDisk
}

// Per day, 50 devices write at most 2 MB, by what the process writes and by what it lets the
// kernel write to the disk, with all that belongs to a day: flushes, destinations, pruning, and
// its share of copying the log into the file.
func TestADayOf50DevicesWritesAtMost2MB(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	midnight := time.Date(2026, 11, 26, 23, 0, 0, 0, time.UTC)
	s := open(t, path, midnight, testOptions(t))
	h := newHousehold(s, midnight)
	const days, most = 6, 2_000_000
	copied := 0
	startWritten, startDisk := ioBytes(t)
	for range days {
		dayWritten, dayDisk := ioBytes(t)
		before, _ := os.Stat(path)
		for range 24 * 12 {
			write(t, s, h.next())
			if os.Getenv("CONNTALLY_WRITEBACK") != "" {
				writeBack(t, path)
			}
		}
		if err := s.Prune(t.Context(), h.at.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		written, disk := ioBytes(t)
		after, _ := os.Stat(path)
		if after.Size() > before.Size() {
			copied++
		}
		t.Logf("%v: %d bytes written, %d to disk", s.options.Calendar.Day(h.at.Add(-time.Hour)),
			written-dayWritten, disk-dayDisk)
	}
	written, disk := ioBytes(t)
	written, disk = (written-startWritten)/days, (disk-startDisk)/days
	t.Logf("%d bytes written a day, %d to disk", written, disk)
	if copied == 0 {
		t.Errorf("the log was not copied within %d days, so that its share is missing", days)
	}
	if os.Getenv("CONNTALLY_WRITEBACK") == "" && max(written, disk) > most {
		t.Errorf("more than %d", most)
	}
}

// writeBack writes to disk what the kernel would have written by the next flush: whole pages of
// 4 KiB, and those of the index that SQLite shares with readers.
func writeBack(t *testing.T, path string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		f, err := os.OpenFile(path+suffix, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
}

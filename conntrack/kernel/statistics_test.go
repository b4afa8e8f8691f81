package kernel_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"

	"github.com/ti-mo/conntrack"

	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/conntrack/kernel"
)

// TestStatistics sends packets of a connection that the kernel has forgotten and may not pick up:
// they are invalid. conntrack(8) must show the same counters.
func TestStatistics(t *testing.T) {
	labtest.EnterNamespace(t)
	track, err := kernel.Track()
	must(t, err)
	defer track.Close()
	must(t, os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_tcp_loose", []byte("0"), 0))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	must(t, err)
	defer conn.Close()
	peer, err := listener.Accept()
	must(t, err)
	defer peer.Close()
	before, err := kernel.ReadStatistics()
	must(t, err)
	ct, err := conntrack.Dial(nil)
	must(t, err)
	defer ct.Close()
	must(t, ct.Flush())
	_, err = conn.Write([]byte("x"))
	must(t, err)
	_, err = io.ReadFull(peer, make([]byte, 1))
	must(t, err)
	after, err := kernel.ReadStatistics()
	must(t, err)
	if after.Invalid <= before.Invalid {
		t.Errorf("%+v, then %+v", before, after)
	}
	compareStatistics(t)
}

// compareStatistics adds up what conntrack(8) prints of each processor. Packets may come
// in between.
func compareStatistics(t *testing.T) {
	t.Helper()
	before, err := kernel.ReadStatistics()
	must(t, err)
	text, err := exec.Command("conntrack", "-S").Output()
	if err != nil {
		t.Skip("conntrack is not installed: make tools")
	}
	after, err := kernel.ReadStatistics()
	must(t, err)
	sums := map[string]uint64{}
	for _, m := range regexp.MustCompile(`(\w+)=(\d+)`).FindAllSubmatch(text, -1) {
		n, _ := strconv.ParseUint(string(m[2]), 10, 64)
		sums[string(m[1])] += n
	}
	for name, read := range map[string]func(*kernel.Statistics) uint64{
		"invalid":        func(s *kernel.Statistics) uint64 { return s.Invalid },
		"insert_failed":  func(s *kernel.Statistics) uint64 { return s.InsertFailed },
		"drop":           func(s *kernel.Statistics) uint64 { return s.Drop },
		"early_drop":     func(s *kernel.Statistics) uint64 { return s.EarlyDrop },
		"error":          func(s *kernel.Statistics) uint64 { return s.Error },
		"search_restart": func(s *kernel.Statistics) uint64 { return s.SearchRestart },
	} {
		if n, found := sums[name]; found && (n < read(&before) || n > read(&after)) {
			t.Errorf("%s: %d, then %d, conntrack -S has %d", name, read(&before), read(&after), n)
		}
	}
}

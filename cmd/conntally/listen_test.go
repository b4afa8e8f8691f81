package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/internal/command"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
)

// TestListenEndsOnFullDisk: with an error, since it can't print what arrives.
func TestListenEndsOnFullDisk(t *testing.T) {
	for _, format := range [][]string{nil, {"--json"}} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip(err)
		}
		defer full.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // only against hanging
		defer cancel()
		said, stderr := io.Pipe()
		code := make(chan int, 1)
		go func() {
			code <- run(ctx, append([]string{"listen", "--address", "127.0.0.1:0"}, format...),
				full, stderr)
			stderr.Close()
		}()
		lines := bufio.NewReader(said)
		first, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		sendFlow(t, strings.Fields(first)[2])
		var rest bytes.Buffer
		if _, err := io.Copy(&rest, lines); err != nil {
			t.Fatal(err)
		}
		if got := <-code; got != command.ExitFailed || ctx.Err() != nil ||
			!strings.Contains(rest.String(), "no space left on device") {
			t.Errorf("%v: exit %d, want %d: %s", format, got, command.ExitFailed, &rest)
		}
	}
}

// sendFlow exports a flow.
func sendFlow(t *testing.T, address string) {
	t.Helper()
	clock := conntrack.SystemClock()
	c := export.NewCollector(export.CollectorConfig{Address: address, Protocol: export.IPFIX},
		clock)
	if err := c.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := &export.Exporter{Collectors: []*export.Collector{c}}
	e.Export(&flow.Pair{{At: clock(), Packets: 1, Bytes: 100}})
	e.Close(clock())
}

package services

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// Journal reads the journal with journalctl, which knows all its formats. The zero Journal runs
// the one in $PATH.
type Journal struct{ command string }

const (
	// resources is the message that systemd writes when a unit has stopped:
	// SD_MESSAGE_UNIT_RESOURCES in sd-messages.h.
	resources = "ae8f7b866b0347b9af31fe1c80b127c0"
	// maxLine bounds an entry; the fields that are asked for have a few hundred bytes.
	maxLine = 64 << 10
	// maxComplaint bounds what is kept of journalctl's errors.
	maxComplaint = 512
)

// Read reads ends, as Log says.
func (j Journal) Read(ctx context.Context, cursor string, fn func(*End)) error {
	// Not --after-cursor: up to systemd 256 that skips an entry without looking, which is
	// another one if the cursor's own is gone. _PID is by the kernel, so that nobody but
	// systemd is believed.
	return j.run(ctx, func(e *End) {
		if e.Cursor != cursor {
			fn(e)
		}
	}, "--cursor="+cursor, "_PID=1", "MESSAGE_ID="+resources)
}

// Last returns the cursor of the last entry, as Log says.
func (j Journal) Last(ctx context.Context) (cursor string, err error) {
	err = j.run(ctx, func(e *End) { cursor = e.Cursor }, "--lines=1")
	return cursor, err
}

func (j Journal) run(ctx context.Context, fn func(*End), args ...string) error {
	command := j.command
	if command == "" {
		command = "journalctl"
	}
	cmd := exec.CommandContext(ctx, command, append([]string{"--system", "--quiet", "--no-pager",
		"--output=json", "--output-fields=UNIT,INVOCATION_ID,IP_METRIC_INGRESS_BYTES," +
			"IP_METRIC_INGRESS_PACKETS,IP_METRIC_EGRESS_BYTES,IP_METRIC_EGRESS_PACKETS"}, args...)...)
	var complaint limited
	cmd.Stderr = &complaint
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	readErr := readEnds(out, fn)
	_, _ = io.Copy(io.Discard, out) // so that it ends
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case err != nil && len(complaint.kept) > 0:
		err = fmt.Errorf("%w: %s", err, &complaint)
	case err == nil && len(complaint.kept) > 0: // it has read, but not all
		err = errors.New(complaint.String())
	case err == nil:
		err = readErr
	}
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	return nil
}

// readEnds calls fn with each entry.
func readEnds(r io.Reader, fn func(*End)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if e, ok := parseEnd(lines.Bytes()); ok {
			fn(&e)
		}
	}
	return lines.Err()
}

// entry is an entry as `journalctl -o json` prints it: texts, but null if they are long, and
// arrays if there are several or they aren't text.
type entry struct {
	Cursor         any `json:"__CURSOR"`
	Realtime       any `json:"__REALTIME_TIMESTAMP"` // in microseconds
	Unit           any `json:"UNIT"`
	Invocation     any `json:"INVOCATION_ID"`
	IngressBytes   any `json:"IP_METRIC_INGRESS_BYTES"`
	IngressPackets any `json:"IP_METRIC_INGRESS_PACKETS"`
	EgressBytes    any `json:"IP_METRIC_EGRESS_BYTES"`
	EgressPackets  any `json:"IP_METRIC_EGRESS_PACKETS"`
}

// parseEnd parses one line. ok is false if it is not an entry.
func parseEnd(line []byte) (e End, ok bool) {
	var fields entry
	if json.Unmarshal(line, &fields) != nil {
		return End{}, false
	}
	if e.Cursor, ok = fields.Cursor.(string); !ok || e.Cursor == "" {
		return End{}, false
	}
	if us, valid := number(fields.Realtime); valid && us < 1<<62 {
		e.At = time.UnixMicro(int64(us))
	}
	var valid [6]bool
	e.Unit, valid[0] = fields.Unit.(string)
	e.Invocation, valid[1] = fields.Invocation.(string)
	var c usage.Counters
	c.UpBytes, valid[2] = number(fields.EgressBytes)
	c.UpPackets, valid[3] = number(fields.EgressPackets)
	c.DownBytes, valid[4] = number(fields.IngressBytes)
	c.DownPackets, valid[5] = number(fields.IngressPackets)
	_, counted := interfaceOf(e.Unit)
	e.HasCounters = counted && valid == [6]bool{true, true, true, true, true, true}
	if e.HasCounters {
		e.Moved = c
	}
	return e, true
}

// number parses a counter.
func number(field any) (n uint64, ok bool) {
	text, _ := field.(string)
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil && n != noData
}

// limited keeps the beginning of what is written to it.
type limited struct{ kept []byte }

func (l *limited) Write(p []byte) (int, error) {
	l.kept = append(l.kept, p[:min(len(p), maxComplaint-len(l.kept))]...)
	return len(p), nil
}

func (l *limited) String() string { return string(bytes.TrimSpace(l.kept)) }

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/conntally/conntally/cmd/conntally/print"
	"github.com/conntally/conntally/cmd/internal/setting"
	"github.com/conntally/conntally/export/decode"
)

// runListen is `conntally listen`.
func runListen(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlags("listen", "a small collector: print the flows that arrive", stdout)
	address := setting.Listen("127.0.0.1:2055")
	fs.Func("address", "receive at `HOST:PORT` (default "+string(address)+")", func(s string) error {
		if s == "" {
			return errors.New("want HOST:PORT")
		}
		return address.UnmarshalText([]byte(s))
	})
	asJSON := fs.Bool("json", false, "print one JSON object per flow")
	if err := fs.Parse(args); err != nil {
		return err
	}
	s, err := newServer(string(address))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	fmt.Fprintf(stderr, "listening on %s for NetFlow v9 and IPFIX\n", s.Address())

	out := &output{Writer: stdout}
	printer := print.New(out, *asJSON)
	faults := faultLog{out: stderr}
	err = s.serve(func(m decode.Message, err error) {
		faults.report(m.Exporter, err)
		if printer.Message(&m); out.err != nil {
			s.Close()
		}
	})
	printLosses(stderr, s.decoder.Counters())
	if out.err != nil {
		return fmt.Errorf("listen: %w", out.err)
	}
	return err
}

// output stores the first error of a Writer, such as that of a full disk.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(b []byte) (n int, err error) {
	n, err = o.Writer.Write(b)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// faultLog reports malformed datagrams, at most one a second: anybody may send them.
type faultLog struct {
	out    io.Writer
	next   time.Time
	hidden int // malformed datagrams since the last one reported
}

func (l *faultLog) report(from netip.AddrPort, err error) {
	if err == nil || errors.Is(err, decode.ErrUnknownTemplate) {
		return
	}
	now := time.Now()
	if now.Before(l.next) {
		l.hidden++
		return
	}
	fmt.Fprintf(l.out, "%s: %v", from, err)
	if l.hidden > 0 {
		fmt.Fprintf(l.out, " (and %d more)", l.hidden)
	}
	fmt.Fprintln(l.out)
	l.next, l.hidden = now.Add(time.Second), 0
}

// printLosses reports what is missing from the output.
func printLosses(w io.Writer, c decode.Counters) {
	if c.MissedRecords > 0 || c.MissedDatagrams > 0 {
		fmt.Fprintf(w, "lost in transit: %d IPFIX records, %d NetFlow v9 datagrams\n",
			c.MissedRecords, c.MissedDatagrams)
	}
	if c.UnknownSets > 0 {
		fmt.Fprintf(w, "%d data sets came before their template and could not be decoded\n",
			c.UnknownSets)
	}
	if c.Refused > 0 {
		fmt.Fprintf(w, "%d datagrams were malformed\n", c.Refused)
	}
}

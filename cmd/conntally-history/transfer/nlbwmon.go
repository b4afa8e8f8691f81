package transfer

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// ErrMonth says that a file doesn't say what month it is about.
var ErrMonth = errors.New("nlbwmon doesn't say what month this is: add --month, such as 2026-11")

// nlbwAddresses is how many addresses are kept of a device.
const nlbwAddresses = 16

// nlbwColumns are what is read of nlbwmon's tables. Others say what traffic it was.
func nlbwColumns() []string {
	return []string{"rx_bytes", "rx_pkts", "tx_bytes", "tx_pkts"}
}

// nlbwSums adds up the rows of nlbwmon by device, in the order of their first row.
type nlbwSums struct {
	columns map[string]int
	order   []string
	rows    map[string]*store.ImportRow
}

func newNlbwSums(head []string) (*nlbwSums, error) {
	columns, err := findColumns(head, nlbwColumns()...)
	if err != nil {
		return nil, err
	}
	_, mac := columns["mac"]
	_, ip := columns["ip"]
	if !mac && !ip {
		return nil, errors.New("column mac is missing, and so is ip: want nlbw without -g, or with " +
			"one of them")
	}
	return &nlbwSums{columns: columns, rows: map[string]*store.ImportRow{}}, nil
}

// add adds one row: received is what the device downloaded.
func (s *nlbwSums) add(cell func(column int) string) error {
	var c usage.Counters
	for i, n := range []*uint64{&c.DownBytes, &c.DownPackets, &c.UpBytes, &c.UpPackets} {
		name := nlbwColumns()[i]
		text := cell(s.columns[name])
		v, err := strconv.ParseUint(text, 10, 64)
		if err != nil || v > maxCount {
			return fmt.Errorf("%s %q: want a number", name, text)
		}
		*n = v
	}
	d, err := s.device(cell)
	if err != nil {
		return err
	}
	row, found := s.rows[d.ID]
	if !found {
		row = &store.ImportRow{Device: d}
		row.Addresses = nil
		s.rows[d.ID] = row
		s.order = append(s.order, d.ID)
	}
	for _, a := range d.Addresses {
		if len(row.Addresses) < nlbwAddresses && !slices.Contains(row.Addresses, a) {
			row.Addresses = append(row.Addresses, a)
		}
	}
	row.WAN.Add(c)
	return nil
}

// device returns who a row is about: the Ethernet address, or if it is unknown, the address.
func (s *nlbwSums) device(cell func(column int) string) (d usage.Device, err error) {
	if i, found := s.columns["ip"]; found {
		a, err := netip.ParseAddr(cell(i))
		if err != nil {
			return d, err
		}
		d.ID, d.Addresses = a.String(), []netip.Addr{a}
	}
	i, found := s.columns["mac"]
	if !found {
		return d, nil
	}
	mac, err := net.ParseMAC(cell(i))
	if err != nil {
		return d, err
	}
	if !bytes.Equal(mac, make([]byte, len(mac))) {
		d.ID, d.MAC = mac.String(), mac.String()
	}
	if d.ID == "" {
		d.ID = usage.Other
	}
	return d, nil
}

// each calls fn with the sums, each of a whole month.
func (s *nlbwSums) each(o Options, fn func(*store.ImportRow) error) error {
	for _, id := range s.order {
		row := s.rows[id]
		row.Period, row.Start = store.ByMonth, o.Month
		if err := checkRow(row); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		if err := fn(row); err != nil {
			return err
		}
	}
	return nil
}

// readNlbwJSON reads what nlbw -c json prints: the names of columns, and rows of values.
func readNlbwJSON(r io.Reader, o Options, fn func(*store.ImportRow) error) error {
	if o.Month.IsZero() {
		return ErrMonth
	}
	b, err := readWhole(r)
	if err != nil {
		return err
	}
	var table struct {
		Columns []string
		Data    [][]json.RawMessage
	}
	if err := json.Unmarshal(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), &table); err != nil {
		return err
	}
	sums, err := newNlbwSums(table.Columns)
	if err != nil {
		return err
	}
	for i, row := range table.Data {
		if len(row) != len(table.Columns) {
			return fmt.Errorf("row %d has %d values for %d columns", i+1, len(row), len(table.Columns))
		}
		err := sums.add(func(column int) string {
			var s string
			if json.Unmarshal(row[column], &s) == nil {
				return s
			}
			return string(row[column])
		})
		if err != nil {
			return fmt.Errorf("row %d: %w", i+1, err)
		}
	}
	return sums.each(o, fn)
}

// readNlbwCSV reads what nlbw -c csv prints. Its separator is a tab unless -s says otherwise.
func readNlbwCSV(r *bufio.Reader, o Options, fn func(*store.ImportRow) error) error {
	if o.Month.IsZero() {
		return ErrMonth
	}
	head, _ := r.Peek(1 << 12)
	head, _, _ = bytes.Cut(head, []byte("\n"))
	in := csv.NewReader(&limited{r, maxWhole})
	in.ReuseRecord, in.Comma = true, '\t'
	for _, separator := range ",;|" {
		if !bytes.ContainsRune(head, in.Comma) && bytes.ContainsRune(head, separator) {
			in.Comma = separator
		}
	}
	names, err := in.Read()
	if err != nil {
		return err
	}
	sums, err := newNlbwSums(slices.Clone(names))
	if err != nil {
		return err
	}
	for {
		cells, err := in.Read()
		switch {
		case errors.Is(err, io.EOF):
			return sums.each(o, fn)
		case err != nil:
			return err
		}
		if err := sums.add(func(column int) string { return cells[column] }); err != nil {
			n, _ := in.FieldPos(0)
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
}

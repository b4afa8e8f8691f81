package store

import (
	"context"
	"database/sql"
	"net/netip"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// querier is a *sql.DB or *sql.Tx.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// scanner is the Scan of a row.
type scanner func(dest ...any) error

// query calls fn with each row, one after the other: none of them stays in memory.
func query(ctx context.Context, q querier, fn func(scanner) error, query string,
	args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close() // Err has it
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// text is a sql.Scanner that hands a text to a function.
type text func(string)

// Scan implements sql.Scanner.
func (t text) Scan(value any) error {
	switch v := value.(type) {
	case string:
		t(v)
	case []byte:
		t(string(v))
	}
	return nil
}

// parseAddr sets addr to an address, or to the zero Addr.
func parseAddr(addr *netip.Addr) func(string) {
	return func(s string) { *addr, _ = netip.ParseAddr(s) }
}

func parseAddrs(addrs *[]netip.Addr) func(string) {
	return func(s string) {
		*addrs = nil
		for f := range strings.FieldsSeq(s) {
			if a, err := netip.ParseAddr(f); err == nil {
				*addrs = append(*addrs, a)
			}
		}
	}
}

// second is a sql.Scanner of seconds since 1970; 0 and NULL are the zero Time.
type second struct{ to *time.Time }

// Scan implements sql.Scanner.
func (s second) Scan(value any) error {
	*s.to = time.Time{}
	if n, ok := value.(int64); ok && n != 0 {
		*s.to = time.Unix(n, 0)
	}
	return nil
}

func counterTargets(c *usage.Counters) []any {
	return []any{&c.UpBytes, &c.DownBytes, &c.UpPackets, &c.DownPackets}
}

func usageTargets(u *usage.Usage) []any {
	return append(counterTargets(&u.WAN), counterTargets(&u.LAN)...)
}

func intakeTargets(i *usage.Intake) []any {
	return []any{&i.Datagrams, &i.Records, &i.Bytes, &i.MissingRecords, &i.MissingDatagrams,
		&i.UnknownSets, &i.Refused}
}

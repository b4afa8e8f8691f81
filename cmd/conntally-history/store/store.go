// Package store keeps history in one file of SQLite.
//
//	usage.Batch -> Store.Write -> tables; Prune: hours -> days -> months
//	Reader: tables -> rows of usage by device, destination, service, exporter
//
// Each byte stands in one table only: by hour while hours are kept, then by day, then by month.
// Views add them up, for SQL users and for Reader alike.
package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// Options of a Store.
type Options struct {
	Calendar usage.Calendar
	// How long rows are kept: hours as hours, days as days, destinations. Months are for ever.
	// 0 keeps them for ever.
	Hours, Days, Destinations time.Duration
	// DestinationsPerDevice is how many are kept of each device and day, the largest.
	DestinationsPerDevice int
	MaxSize               int64 // bytes of the file; beyond, the oldest details go first; 0: any
	// WithoutRun is for a program that only imports: it begins no run, since another program
	// may be in the middle of one. Nor does it set a damaged database aside: that is an error.
	WithoutRun bool
}

// Store writes the database. Its methods belong to one goroutine.
type Store struct {
	db      *sql.DB
	options Options
	run     int64    // ID of the run that Open began; 0: none
	lock    *os.File // nil: it began none
	reader  *Reader
}

// ErrVersion says that the database was written by a newer version of conntally-history.
var ErrVersion = errors.New("the database is of a newer version of conntally-history")

// ErrInUse says that another program has a run of the database, which only one can have.
var ErrInUse = errors.New("the database is in use by another conntally-history")

// Reader returns the Reader of the same file. Any goroutine may use it, beside the Store. It is
// closed with the Store.
func (s *Store) Reader() *Reader { return s.reader }

// Close ends the run and closes the database.
func (s *Store) Close(now time.Time) error {
	var err error
	if s.run != 0 {
		_, err = s.db.Exec("UPDATE run SET ended = ?, updated = ? WHERE id = ?",
			now.Unix(), now.Unix(), s.run)
	}
	err = errors.Join(err, s.reader.Close(), s.db.Close())
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// inTransaction calls fn in a transaction that holds whole or not at all.
func (s *Store) inTransaction(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		_ = tx.Rollback() // SQLite may have rolled back already
		return err
	}
	return tx.Commit()
}

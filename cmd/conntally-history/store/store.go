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
	"errors"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// Options of a Store.
type Options struct {
	Calendar usage.Calendar
	// How long rows are kept: hours as hours, days as days, destinations. Months are for ever.
	Hours, Days, Destinations time.Duration
	// DestinationsPerDevice is how many are kept of each device and day, the largest.
	DestinationsPerDevice int
	MaxSize               int64 // bytes of the file; beyond, the oldest details go first
}

// Store writes the data base. Its methods belong to one goroutine.
type Store struct{}

// State is what a program that starts continues from.
type State struct {
	Sequences     map[usage.Exporter]usage.Sequence
	Services      []usage.ServiceState
	JournalCursor string
	Devices       []usage.Device
}

// SetAside says that the data base was damaged, and where it is kept now.
type SetAside struct {
	Path string
	Why  error
}

var errNotYet = errors.New("not built yet")

// Open opens or creates the data base, brings its tables up to date, and checks it: if it is
// damaged, it is set aside and a new one begun, and the SetAside isn't nil. A data base of a
// newer version is an error. now begins a run, which Close ends: see usage.Absence.
func Open(ctx context.Context, path string, now time.Time, o Options) (*Store, *SetAside, error) {
	return nil, nil, errNotYet
}

// State returns what was written last.
func (s *Store) State(ctx context.Context) (State, error) { return State{}, errNotYet }

// Write writes a batch: all of it or, with an error, nothing.
func (s *Store) Write(ctx context.Context, b *usage.Batch) error { return errNotYet }

// Prune moves and deletes what is older than it is kept for, and what is too large.
func (s *Store) Prune(ctx context.Context, now time.Time) error { return errNotYet }

// Reader returns a Reader of the same file. Any goroutine may use it, beside the Store.
func (s *Store) Reader() *Reader { return nil }

// Close ends the run and closes the data base.
func (s *Store) Close(now time.Time) error { return errNotYet }

// Reader reads the data base. Any goroutine may use it.
type Reader struct{}

// OpenReader opens a data base that exists, to read it; another process may write it.
func OpenReader(ctx context.Context, path string) (*Reader, error) { return nil, errNotYet }

// Close closes the data base.
func (r *Reader) Close() error { return errNotYet }

// Period divides a Span into rows.
type Period uint8

// The periods. Whole is one row for all of a span.
const (
	Whole Period = iota
	ByHour
	ByDay
	ByMonth
)

// Span selects rows by time, and by device if it isn't "". To is exclusive. Times that are not
// the start of an hour count as those of their hour, and of a day once only days are kept.
type Span struct {
	From, To time.Time
	Device   string
	Period   Period
}

// DeviceRow is what one device moved in one period.
type DeviceRow struct {
	Start time.Time // of the period; of the span if it is Whole
	usage.Device
	usage.Usage
}

// DestinationRow is what a device exchanged with one destination. Its days are whole.
type DestinationRow struct {
	Start  time.Time
	Device string
	Name   string // of the device
	usage.Destination
	usage.DestinationUsage
	// New: the device has not exchanged anything with the address on the days before the
	// span, of those that are kept.
	New bool
}

// ServiceRow is what one unit of systemd moved in one period.
type ServiceRow struct {
	Start time.Time
	Unit  string
	usage.Counters
}

// ExporterRow is what one exporter sent in one period.
type ExporterRow struct {
	Start time.Time
	usage.Exporter
	usage.Intake
}

// Devices returns usage by device, by time and then the largest first.
func (r *Reader) Devices(ctx context.Context, s Span) ([]DeviceRow, error) { return nil, errNotYet }

// Destinations returns usage by destination, the largest first.
func (r *Reader) Destinations(ctx context.Context, s Span) ([]DestinationRow, error) {
	return nil, errNotYet
}

// Services returns usage by service, by time and then the largest first.
func (r *Reader) Services(ctx context.Context, s Span) ([]ServiceRow, error) { return nil, errNotYet }

// Exporters returns what came, by exporter.
func (r *Reader) Exporters(ctx context.Context, s Span) ([]ExporterRow, error) {
	return nil, errNotYet
}

// Losses returns what a span lacks.
func (r *Reader) Losses(ctx context.Context, from, to time.Time) (usage.Losses, error) {
	return usage.Losses{}, errNotYet
}

// Extent is what a data base holds.
type Extent struct {
	First, Last time.Time // of the oldest and latest row of a device or service; zero: none
	Flushed     time.Time // when something was written last
	Size        int64     // bytes of its files
}

// Extent returns what the data base holds.
func (r *Reader) Extent(ctx context.Context) (Extent, error) { return Extent{}, errNotYet }

// Lookup returns a device by its ID, name, MAC or one of its addresses.
func (r *Reader) Lookup(ctx context.Context, device string) (usage.Device, bool, error) {
	return usage.Device{}, false, errNotYet
}

// Rows for import: usage that was counted elsewhere replaces nothing and adds to nothing that
// is there already; Import returns how many rows were new.
func (s *Store) Import(ctx context.Context, hours []ImportRow) (added int, err error) {
	return 0, errNotYet
}

// ImportRow is one row of another program's history, or of an export of ours.
type ImportRow struct {
	Period Period // ByHour, ByDay or ByMonth
	Start  time.Time
	usage.Device
	usage.Usage
}

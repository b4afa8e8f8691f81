package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// SetAside says that the database was damaged, and where it is kept now.
type SetAside struct {
	Path string
	Why  error
}

// errDamaged wraps what makes a database be set aside.
var errDamaged = errors.New("the database is damaged")

// Open opens or creates the database, brings its tables up to date, and checks it: if it is
// damaged, it is set aside and a new one begun, and the SetAside isn't nil. A database of a
// newer version is an error, and so is one that another program has a run of: ErrInUse. now begins
// a run, which Close ends: see usage.Absence.
func Open(ctx context.Context, path string, now time.Time, o Options) (*Store, *SetAside, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, err
	}
	var held *os.File
	if !o.WithoutRun {
		if held, err = lock(path); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	s, aside, err := openLocked(ctx, path, now, o)
	if err != nil {
		_ = held.Close() // nil without a run
		return nil, aside, fmt.Errorf("%s: %w", path, err)
	}
	s.lock = held
	return s, aside, nil
}

// openLocked is Open once no other program can have a run.
func openLocked(
	ctx context.Context, path string, now time.Time, o Options,
) (*Store, *SetAside, error) {
	var aside *SetAside
	db, err := openWriter(ctx, path)
	if errors.Is(err, errDamaged) && !o.WithoutRun {
		aside = &SetAside{Why: err}
		if aside.Path, err = setAside(path, now); err == nil {
			db, err = openWriter(ctx, path)
		}
	}
	if err != nil {
		return nil, aside, err
	}
	s := &Store{db: db, options: o}
	if s.reader, err = newReader(ctx, path, o.Calendar); err == nil && !o.WithoutRun {
		err = s.beginRun(ctx, now)
	}
	if err != nil {
		_ = s.reader.Close()
		_ = db.Close()
		return nil, aside, err
	}
	return s, aside, nil
}

// openWriter opens or creates the database of this version.
func openWriter(ctx context.Context, path string) (*sql.DB, error) {
	if err := looksWhole(path); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", writerURL(path))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // a Store belongs to one goroutine
	_, err = db.ExecContext(ctx, layout)
	err = damage(err)
	if err == nil {
		err = check(ctx, db)
	}
	if err == nil {
		err = migrate(ctx, db)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// looksWhole returns errDamaged for what SQLite would take as a new database, though there was
// one before: a file of 0 bytes, as a power cut may leave it, or a log without its file.
func looksWhole(path string) error {
	info, err := os.Stat(path)
	log, logErr := os.Stat(path + "-wal")
	switch {
	case err == nil && info.Size() == 0:
		return fmt.Errorf("%w: it is empty (0 bytes)", errDamaged)
	case err == nil && info.Size() < 512: // SQLite takes a byte as nothing
		return fmt.Errorf("%w: it has %d bytes only", errDamaged, info.Size())
	case errors.Is(err, fs.ErrNotExist) && logErr == nil && log.Size() > 0:
		return fmt.Errorf("%w: only its log is left", errDamaged)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return nil
}

// Flash wears by what is written, see TestADayOf50DevicesWritesAtMost2MB. A flush changes few
// rows, so that the smallest pages save most; the log is copied into the file every few days, as
// most pages change many times. Until then the log is as good as the file.
const (
	layout         = "PRAGMA page_size = 512; PRAGMA journal_mode = WAL" // in this order
	autoCheckpoint = "16000"                                             // pages: 8.6 MB of log
	cacheKiB       = "512"
	busyMillis     = "10000"
)

func writerURL(path string) string {
	return fileURL(path, url.Values{
		"_busy_timeout": {busyMillis},
		"_synchronous":  {"NORMAL"},
		"_txlock":       {"immediate"},
		"_pragma": {
			"cache_size(-" + cacheKiB + ")", "temp_store(MEMORY)",
			"wal_autocheckpoint(" + autoCheckpoint + ")",
		},
	})
}

func fileURL(path string, query url.Values) string {
	u := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	return u.String()
}

// check returns errDamaged unless the database is consistent.
func check(ctx context.Context, db *sql.DB) error {
	var result string
	err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result)
	if err != nil {
		return damage(err)
	}
	if result != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, result)
	}
	return nil
}

// damage wraps err in errDamaged if the content of the file is the reason, and not the disk or
// someone else who uses it.
func damage(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	return err
}

// setAside renames the database and what belongs to it, so that SQLite's tools find it whole.
func setAside(path string, now time.Time) (string, error) {
	to := path + ".damaged-" + now.UTC().Format("20060102T150405Z")
	for n := 2; ; n++ {
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		}
		to = fmt.Sprintf("%s.damaged-%s-%d", path, now.UTC().Format("20060102T150405Z"), n)
	}
	for _, suffix := range []string{"-shm", "-wal", ""} {
		err := os.Rename(path+suffix, to+suffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return to, err
		}
	}
	return to, nil
}

// beginRun ends a run that was not ended, with the last flush, and begins one. If the clock was
// ahead then, it ended now at the latest.
func (s *Store) beginRun(ctx context.Context, now time.Time) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		w := newWriter(ctx, tx, s.options)
		defer w.close()
		w.rewind(now)
		w.exec(`UPDATE run SET crashed = 1, ended = min(?, max(updated, started,
			(SELECT coalesce(max(updated), 0) FROM exporter_hour WHERE sequenced)))
			WHERE ended IS NULL`, now.Unix())
		if w.err != nil {
			return w.err
		}
		r, err := tx.ExecContext(ctx, "INSERT INTO run (started, updated) VALUES (?1, ?1)",
			now.Unix())
		if err != nil {
			return err
		}
		s.run, err = r.LastInsertId()
		return err
	})
}

// State is what a program that starts continues from.
type State struct {
	Sequences     map[usage.Exporter]usage.Sequence
	Services      []usage.ServiceState
	JournalCursor string
	Devices       []usage.Device
}

// Senders returns the exporters that have sent records since the hour of a time, and the start of
// the last hour in which they did. (A sequence is written with each batch, sent or not.)
func (s *Store) Senders(ctx context.Context, since time.Time) (
	map[usage.Exporter]time.Time, error) {
	all := map[usage.Exporter]time.Time{}
	hour, _ := s.options.Calendar.Hour(since)
	err := query(ctx, s.db, func(scan scanner) error {
		var e usage.Exporter
		var latest int64
		err := scan(text(parseAddr(&e.Address)), &e.Version, &e.Domain, &latest)
		all[e] = time.Unix(latest, 0)
		return err
	}, `SELECT n.address, n.version, n.domain, max(u.hour)
		FROM exporter_hour u JOIN exporter n ON n.id = u.exporter
		WHERE u.id >= ? AND u.records > 0 GROUP BY u.exporter`, exporters().id(hour, 0))
	return all, err
}

// State returns what was written last.
func (s *Store) State(ctx context.Context) (State, error) {
	state := State{Sequences: map[usage.Exporter]usage.Sequence{}}
	err := query(ctx, s.db, func(scan scanner) error {
		var e usage.Exporter
		var seq usage.Sequence
		var latest int64
		err := scan(text(parseAddr(&e.Address)), &e.Version, &e.Domain, &seq.Port, &seq.Next, &latest)
		state.Sequences[e] = seq
		return err
	}, `SELECT n.address, n.version, n.domain, u.port, u.next, max(u.hour)
		FROM exporter_hour u JOIN exporter n ON n.id = u.exporter
		WHERE u.sequenced GROUP BY u.exporter`)
	if err != nil {
		return state, err
	}
	err = eachServiceState(ctx, s.db, func(u usage.ServiceState) {
		state.Services = append(state.Services, u)
	})
	if err != nil {
		return state, err
	}
	err = s.db.QueryRowContext(ctx, "SELECT value FROM setting WHERE name = 'journal_cursor'").
		Scan(&state.JournalCursor)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return state, err
	}
	err = s.reader.eachDevice(ctx, func(_ int64, d usage.Device) error {
		state.Devices = append(state.Devices, d)
		return nil
	})
	return state, err
}

package store

import (
	"context"
	"database/sql"
	_ "embed" // for schema
	"fmt"
)

//go:embed schema.sql
var schema string

// toVersion2 adds when in an hour a device was last seen: a column of the rows that each flush
// changes anyway costs two bytes of each, where the device's own row would cost another page.
const toVersion2 = `
ALTER TABLE counted ADD COLUMN i INTEGER NOT NULL DEFAULT 0;

DROP VIEW device_hour;

-- last is when the device was last seen in this hour, to the minute.
CREATE VIEW device_hour AS
SELECT id, (id >> 22) * 900 AS hour, id & 0xfffff AS device,
       a AS up_bytes, b AS down_bytes, c AS up_packets, d AS down_packets,
       e AS lan_up_bytes, f AS lan_down_bytes, g AS lan_up_packets, h AS lan_down_packets,
       (id >> 22) * 900 + i * 60 AS last
FROM counted WHERE (id >> 20) & 3 = 0;`

// application identifies our files in SQLite's header: "ctly".
const application = 0x63746c79

// steps returns what brings a database of version i (its user_version) to version i+1.
func steps() []string { return []string{schema, toVersion2} }

// migrate brings the tables up to date.
func migrate(ctx context.Context, db *sql.DB) error {
	version, err := versionOf(ctx, db)
	if err != nil {
		return err
	}
	for ; version < len(steps()); version++ {
		if err := step(ctx, db, version); err != nil {
			return fmt.Errorf("from version %d to %d: %w", version, version+1, err)
		}
	}
	return nil
}

func step(ctx context.Context, db *sql.DB, version int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit there is nothing to roll back
	_, err = tx.ExecContext(ctx, fmt.Sprintf("%s;\nPRAGMA application_id = %d;\n"+
		"PRAGMA user_version = %d;", steps()[version], application, version+1))
	if err != nil {
		return err
	}
	return tx.Commit()
}

// versionOf returns the version of a database, 0 for one without tables.
func versionOf(ctx context.Context, db *sql.DB) (int, error) {
	var id, version, tables int
	for pragma, to := range map[string]*int{
		"PRAGMA application_id": &id, "PRAGMA user_version": &version,
		"SELECT count(*) FROM sqlite_schema": &tables,
	} {
		if err := db.QueryRowContext(ctx, pragma).Scan(to); err != nil {
			return 0, damage(err)
		}
	}
	switch {
	case tables == 0 && id == 0 && version == 0:
		return 0, nil
	case id != application:
		return 0, fmt.Errorf("this is not a database of conntally-history")
	case version > len(steps()):
		return 0, fmt.Errorf("%w: %d, this one knows %d", ErrVersion, version, len(steps()))
	case version == 0 || tables == 0:
		return 0, fmt.Errorf("%w: it has no tables", errDamaged)
	}
	return version, nil
}

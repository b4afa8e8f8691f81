package store

import (
	"testing"
)

// TestAnExportIsOneSnapshot: hours that become a day while the export runs are not in it twice.
func TestAnExportIsOneSnapshot(t *testing.T) {
	s := openNew(t)
	write(t, s, batchAt(s, noon(), "a", 1), batchAt(s, noon().AddDate(0, 0, 1), "a", 10))
	later := noon().AddDate(1, 0, 0)
	pruned := false
	var up uint64
	err := s.Reader().EachStored(t.Context(), Span{From: noon().AddDate(-1, 0, 0), To: later},
		func(row *ImportRow) error {
			if !pruned {
				pruned = true
				prune(t, s, later)
			}
			up += row.WAN.UpBytes
			return nil
		})
	if err != nil || up != 11 {
		t.Errorf("%d bytes, want 11: %v", up, err)
	}
	if by := rows(t, s, "device_hour"); by != 0 {
		t.Errorf("%d hours are left: nothing was pruned", by)
	}
}

package report

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/internal/text"
)

// Losses are what a report lacks, and as of when it is.
type Losses struct {
	MissingRecords   uint64     `json:"missing_records"`
	MissingDatagrams uint64     `json:"missing_datagrams"`
	UnknownSets      uint64     `json:"unknown_sets"`
	Refused          uint64     `json:"malformed_datagrams"`
	Absent           []Absence  `json:"absent"`
	Begins           *time.Time `json:"begins,omitempty"` // the database, if later than the report
	Flushed          *time.Time `json:"flushed"`          // nil: nothing was ever written
}

// Absence is a time during which conntally-history did not run.
type Absence struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Crash bool      `json:"crash"`
}

// read reads what is missing between from and to.
func (l *Losses) read(
	ctx context.Context, source Source, from, to time.Time, e store.Extent, in *time.Location,
) error {
	losses, err := source.Losses(ctx, from, to)
	if err != nil {
		return err
	}
	*l = Losses{
		MissingRecords: losses.MissingRecords, MissingDatagrams: losses.MissingDatagrams,
		UnknownSets: losses.UnknownSets, Refused: losses.Refused, Absent: []Absence{},
	}
	for _, a := range losses.Absent {
		l.Absent = append(l.Absent, Absence{a.From.In(in), a.To.In(in), a.Crash})
	}
	if e.First.After(from) {
		begins := e.First.In(in)
		l.Begins = &begins
	}
	if !e.Flushed.IsZero() {
		flushed := e.Flushed.In(in)
		l.Flushed = &flushed
	}
	return nil
}

// mostAbsences are listed.
const mostAbsences = 3

// Lines says what is missing, and as of when the report is, a sentence a line.
func (l *Losses) Lines() (lines []string) {
	var lost []string
	add := func(n uint64, one, more string) {
		switch {
		case n == 1:
			lost = append(lost, "1 "+one)
		case n > 1:
			lost = append(lost, strconv.FormatUint(n, 10)+" "+more)
		}
	}
	add(l.MissingRecords, "flow record lost on the way", "flow records lost on the way")
	add(l.MissingDatagrams, "datagram lost on the way", "datagrams lost on the way")
	add(l.UnknownSets, "set of records whose template had not come",
		"sets of records whose template had not come")
	add(l.Refused, "malformed datagram", "malformed datagrams")
	if len(lost) > 0 {
		lines = append(lines, "Missing: "+strings.Join(lost, ", ")+".")
	}
	if len(l.Absent) > 0 {
		lines = append(lines, "Missing: "+absences(l.Absent)+".")
	}
	if l.Begins != nil {
		lines = append(lines, "Missing: what came before "+stamp(*l.Begins)+
			", where the database begins.")
	}
	if len(lines) == 0 {
		lines = append(lines, "Nothing is known to be missing.")
	}
	if l.Flushed == nil {
		return append(lines, "Nothing has been written yet.")
	}
	return append(lines, "As of "+l.Flushed.Format("2006-01-02 15:04:05")+".")
}

// absences says when conntally-history did not run.
func absences(all []Absence) string {
	whole := time.Duration(0)
	var latest []string
	for i, a := range all {
		whole += a.To.Sub(a.From)
		if i < len(all)-mostAbsences {
			continue
		}
		why := ""
		if a.Crash {
			why = " (crash)"
		}
		latest = append(latest, fmt.Sprintf("%s to %s%s", a.From.Format("2006-01-02 15:04"),
			a.To.Format("2006-01-02 15:04"), why))
	}
	line := "what came while conntally-history did not run, " + text.Duration(whole) + ": "
	if n := len(all) - len(latest); n > 0 {
		line += strconv.Itoa(n) + " earlier, "
	}
	return line + strings.Join(latest, ", ")
}

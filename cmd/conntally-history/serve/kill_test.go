package serve

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// killsVariable sets how often TestKilledServiceLosesNothingUnsaid kills it.
const killsVariable = "CONNTALLY_KILLS"

// Killed at any moment: all that was sent is in the database, or missing by its own account,
// and nothing is twice.
func TestKilledServiceLosesNothingUnsaid(t *testing.T) {
	kills := 8
	if text := os.Getenv(killsVariable); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", killsVariable, err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	database := enter(t)
	p := start(t, database, "", 50*time.Millisecond)
	e := newExporter(t)
	e.untilReceived(true)
	p.stop()
	first := read(t, database)
	if first.Records == 0 {
		t.Fatal("nothing was written")
	}
	unknown := uint64(e.sequence) - first.Records - first.MissingRecords // before the first message
	for range kills {
		p := start(t, database, "", 50*time.Millisecond)
		if r.IntN(4) > 0 { // else it may be killed while it starts
			e.untilReceived(r.IntN(2) == 0)
		}
		for end := time.Now().Add(time.Duration(r.IntN(400)) * time.Millisecond); time.Now().Before(end); {
			e.send(r.IntN(20))
			time.Sleep(time.Duration(r.IntN(4)) * time.Millisecond)
		}
		p.kill()
		e.send(r.IntN(20))
	}
	p = start(t, database, "", time.Hour)
	e.untilReceived(false)
	for range 20 { // the template is among them
		e.send(1)
	}
	p.stop()
	got := read(t, database)
	t.Logf("%d records sent, %d written, %d missing", e.sequence, got.Records, got.MissingRecords)
	if got.Records+got.MissingRecords+unknown != uint64(e.sequence) {
		t.Errorf("%d records written, %d missing, %d before the first; %d were sent", got.Records,
			got.MissingRecords, unknown, e.sequence)
	}
	if got.bytes != got.Records || got.bytes != got.Bytes {
		t.Errorf("%d records have %d bytes, the exporter's are %d", got.Records, got.bytes, got.Bytes)
	}
	if got.MissingRecords == 0 {
		t.Error("nothing is missing: that can't be")
	}
}

// Ended in order, a service loses nothing at all: also what came before its template.
func TestRestartLosesNothing(t *testing.T) {
	database := enter(t)
	p := start(t, database, "", time.Hour)
	e := newExporter(t)
	e.untilReceived(true)
	p.stop()
	before := read(t, database)
	first := e.sequence
	p = start(t, database, "", time.Hour)
	e.untilReceived(false)
	restarted := e.sequence
	for range 40 {
		e.send(3)
	}
	p.stop()
	got := read(t, database)
	if n := got.Records + got.MissingRecords - before.Records - before.MissingRecords; n !=
		uint64(e.sequence-first) {
		t.Errorf("%d records are known of, %d were sent", n, e.sequence-first)
	}
	// What was refused while nothing ran is missing, and nothing since.
	if n := got.MissingRecords - before.MissingRecords; n > uint64(restarted-first) {
		t.Errorf("%d records are missing, %d were sent while nothing ran", n, restarted-first)
	}
	if got.by != got.bytes || got.bytes == 0 {
		t.Errorf("%d bytes by device, %d by destination", got.bytes, got.by)
	}
}

package state

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// mostHint bounds what is allocated for records before they are read: 90 MB.
const mostHint = 1 << 18

var errTorn = errors.New("ends within a batch")

// reader reads a log from its beginning. It trusts no length: a batch that is too
// long for buf is refused, and so are more than most records.
type reader struct {
	from io.Reader
	buf  []byte // batchSize
	most int    // records
	hint int    // estimated number of records

	header      header
	checkpoints map[conntrack.Key]flow.Checkpoint
	size        int64 // up to the end of the last whole batch
	records     int
}

// all reads everything. It returns an error unless everything except a torn last batch is
// valid and of this table.
func (r *reader) all(here *Identity) error {
	if err := r.begin(here); err != nil {
		return err
	}
	for {
		switch err := r.next(); {
		case errors.Is(err, io.EOF), errors.Is(err, errTorn):
			return nil
		case err != nil:
			return fmt.Errorf("%w (at byte %d)", err, r.size)
		}
	}
}

func (r *reader) begin(here *Identity) (err error) {
	b := r.buf[:headerSize]
	switch n, err := io.ReadFull(r.from, b); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("not a state file of conntally: only %d B long", n)
	case err != nil:
		return err
	}
	if r.header, err = parseHeader(b); err != nil {
		return err
	}
	if err := r.header.id.check(here); err != nil {
		return err
	}
	r.size, r.checkpoints = int64(headerSize), make(map[conntrack.Key]flow.Checkpoint, r.hint)
	return nil
}

// next reads a batch. It returns io.EOF where the file ends, errTorn where it ends
// too early.
func (r *reader) next() error {
	if _, err := io.ReadFull(r.from, r.buf[:batchHeader]); err != nil {
		return short(err, io.EOF)
	}
	count, sum, err := parseBatchHeader(r.buf)
	if err != nil {
		return err
	}
	records := r.buf[:count*recordSize]
	if _, err := io.ReadFull(r.from, records); err != nil {
		return short(err, errTorn)
	}
	if crc32.Checksum(records, crc32c) != sum {
		return errors.New("damaged: wrong CRC of a batch")
	}
	if r.records += count; r.records > r.most {
		return fmt.Errorf("more than %d records", r.most)
	}
	r.size += int64(batchHeader + len(records))
	r.take(records)
	return nil
}

// short returns what an error of io.ReadFull means, which is none if nothing
// could be read.
func short(err, none error) error {
	switch {
	case errors.Is(err, io.EOF):
		return none
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errTorn
	}
	return err
}

func (r *reader) take(records []byte) {
	for ; len(records) > 0; records = records[recordSize:] {
		s := parseRecord(records)
		r.checkpoints[s.Key] = s
	}
}

package decode

import (
	"bytes"
	"fmt"

	"github.com/calmh/ipfix"
	"github.com/netsampler/goflow2/v2/decoders/netflow"
)

// A record is the values of one data record, in the order of its template's fields.
type record [][]byte

// A recordReader decodes the data sets of one template.
type recordReader interface {
	// read returns a set's data records, which may share the set's memory, or an error if a record
	// runs past its end.
	read(set) ([]record, error)
}

func newRecordReader(version uint16, t template) recordReader {
	if version == versionIPFIX {
		return newIPFIXReader(t)
	}
	return newNetFlow9Reader(t)
}

// An ipfixReader is a calmh/ipfix session that knows one template. The library skips options
// templates; loaded like this, one is a template like any other.
type ipfixReader struct {
	session *ipfix.Session
}

func newIPFIXReader(t template) ipfixReader {
	specifiers := make([]ipfix.TemplateFieldSpecifier, len(t.fields))
	for i, f := range t.fields {
		specifiers[i] = ipfix.TemplateFieldSpecifier{
			EnterpriseID: f.enterprise, FieldID: f.id, Length: f.length,
		}
	}
	session := ipfix.NewSession()
	session.LoadTemplateRecords([]ipfix.TemplateRecord{{
		TemplateID: t.id, FieldSpecifiers: specifiers,
	}})
	return ipfixReader{session}
}

// read gives the session a message of this one set; the session doesn't look at the message header.
func (r ipfixReader) read(s set) ([]record, error) {
	message := append(make([]byte, ipfixHeaderSize, ipfixHeaderSize+len(s.bytes)), s.bytes...)
	m, err := r.session.ParseBuffer(message)
	if err != nil {
		return nil, fmt.Errorf("data set %d: %w", s.id, err)
	}
	records := make([]record, len(m.DataRecords))
	for i, data := range m.DataRecords {
		records[i] = data.Fields
	}
	return records, nil
}

// A netflow9Reader is goflow2's form of a template.
type netflow9Reader struct {
	fields []netflow.Field
}

func newNetFlow9Reader(t template) netflow9Reader {
	fields := make([]netflow.Field, len(t.fields))
	for i, f := range t.fields {
		fields[i] = netflow.Field{Type: f.id, Length: f.length}
	}
	return netflow9Reader{fields}
}

func (r netflow9Reader) read(s set) ([]record, error) {
	decoded, err := netflow.DecodeDataSet(versionNetFlow9, bytes.NewBuffer(s.body()), r.fields)
	if err != nil {
		return nil, fmt.Errorf("data set %d: %w", s.id, err)
	}
	records := make([]record, len(decoded))
	for i, data := range decoded {
		records[i] = make(record, len(data.Values))
		for j, v := range data.Values {
			records[i][j], _ = v.Value.([]byte)
		}
	}
	return records, nil
}

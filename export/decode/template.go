package decode

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	templateHeaderSize        = 4
	optionsTemplateHeaderSize = 6
	fieldSize                 = 4 // a field specifier; an enterprise number adds 4 more

	variableLength = 65535  // RFC 7011, 7
	enterpriseBit  = 0x8000 // RFC 7011, 3.2

	// of one template; no exporter comes near
	maxFields    = 256
	maxRecordLen = 65535 - ipfixHeaderSize - setHeaderSize // of one data record
)

// A template describes the data records of the sets that bear its id.
type template struct {
	id     uint16
	option bool // an options template
	scopes int  // how many of the fields, from the first, are scopes
	fields []field
}

// A field is one field specifier.
type field struct {
	id         uint16 // information element, without the enterprise bit
	length     uint16 // bytes, or variableLength
	enterprise uint32 // 0 = IANA's
}

// A templateHeader is what stands before a template's fields.
type templateHeader struct {
	id     uint16
	fields int
	scopes int
	size   int // bytes
}

// parseTemplates reads a set of templates, up to the first bad one. Up to three bytes of padding
// may follow the last.
func parseTemplates(version uint16, s set) (all []template, err error) {
	option := s.kind(version) == optionsTemplateSet
	for b := s.body(); len(b) >= templateHeaderSize; {
		h, err := parseTemplateHeader(version, option, b)
		if err != nil {
			return all, err
		}
		b = b[h.size:]
		if h.withdraws(version) {
			continue
		}
		t := template{id: h.id, option: option, scopes: h.scopes}
		if t.fields, b, err = parseFields(version, h.fields, b); err != nil {
			return all, fmt.Errorf("template %d: %w", h.id, err)
		}
		if err := t.check(version); err != nil {
			return all, fmt.Errorf("template %d: %w", h.id, err)
		}
		all = append(all, t)
	}
	return all, nil
}

// withdraws reports whether h is an IPFIX template withdrawal, which is ignored over UDP (RFC 7011,
// 8.4).
func (h templateHeader) withdraws(version uint16) bool {
	return version == versionIPFIX && h.fields == 0
}

func parseTemplateHeader(version uint16, option bool, b []byte) (templateHeader, error) {
	first, second := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
	h := templateHeader{id: first, fields: second, size: templateHeaderSize}
	if !option || h.withdraws(version) {
		return h, nil
	}
	if len(b) < optionsTemplateHeaderSize {
		return h, fmt.Errorf("options template %d: header cut off", h.id)
	}
	h.size = optionsTemplateHeaderSize
	third := int(binary.BigEndian.Uint16(b[4:]))
	if version == versionNetFlow9 {
		return h.netflow9Options(second, third)
	}
	h.scopes = third
	if h.scopes == 0 || h.scopes > h.fields {
		return h, fmt.Errorf("options template %d: %d scope fields of %d", h.id, h.scopes, h.fields)
	}
	return h, nil
}

// netflow9Options takes the lengths in bytes of the scope and of the option specifiers (RFC 3954,
// 6.1).
func (h templateHeader) netflow9Options(scope, option int) (templateHeader, error) {
	if scope%fieldSize != 0 || option%fieldSize != 0 {
		return h, fmt.Errorf("options template %d: scope length %d, option length %d", h.id, scope,
			option)
	}
	h.scopes, h.fields = scope/fieldSize, (scope+option)/fieldSize
	return h, nil
}

// parseFields reads n field specifiers. It allocates only for what is there.
func parseFields(version uint16, n int, b []byte) (fields []field, rest []byte, err error) {
	if n > maxFields || n*fieldSize > len(b) {
		return nil, nil,
			fmt.Errorf("%d fields declared, %d bytes left, at most %d fields are read",
				n, len(b), maxFields)
	}
	fields = make([]field, n)
	for i := range fields {
		if fields[i], b, err = parseField(version, b); err != nil {
			return nil, nil, fmt.Errorf("field %d of %d: %w", i+1, n, err)
		}
	}
	return fields, b, nil
}

func parseField(version uint16, b []byte) (f field, rest []byte, err error) {
	if len(b) < fieldSize {
		return field{}, nil, errors.New("specifier cut off")
	}
	f = field{id: binary.BigEndian.Uint16(b), length: binary.BigEndian.Uint16(b[2:])}
	b = b[fieldSize:]
	if version != versionIPFIX || f.id&enterpriseBit == 0 {
		return f, b, nil
	}
	if len(b) < 4 {
		return field{}, nil, errors.New("enterprise number cut off")
	}
	f.id &^= enterpriseBit
	f.enterprise = binary.BigEndian.Uint32(b)
	return f, b[4:], nil
}

// check refuses what would make a decoder loop or grow: a record must take at least one byte per
// field, so that the fields in a set never outnumber its bytes, and must fit into a message.
func (t template) check(version uint16) error {
	if t.id < firstDataSet {
		return fmt.Errorf("ids below %d are reserved", firstDataSet)
	}
	length := 0
	for _, f := range t.fields {
		switch {
		case f.length != variableLength:
			length += int(f.length)
		case version == versionIPFIX:
			length++ // its own length, at least
		default:
			return fmt.Errorf("field %d: NetFlow v9 has no variable length", f.id)
		}
	}
	if length == 0 || length < len(t.fields) || length > maxRecordLen {
		return fmt.Errorf("%d fields make a record of %d bytes", len(t.fields), length)
	}
	return nil
}

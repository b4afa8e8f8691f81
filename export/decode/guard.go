package decode

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	versionNetFlow9 = 9
	versionIPFIX    = 10

	netflow9HeaderSize = 20 // RFC 3954, 5.1
	ipfixHeaderSize    = 16 // RFC 7011, 3.1
	setHeaderSize      = 4  // RFC 7011, 3.3.2; RFC 3954 calls a set a FlowSet

	firstDataSet = 256 // set ids from here on are template ids
)

// A header is what both versions say before the first set.
type header struct {
	version  uint16
	exported uint32 // seconds since 1970
	uptime   uint32 // v9: ms since the exporter started
	sequence uint32
	domain   uint32
	sets     []byte
}

// parseHeader checks the version and, for IPFIX, the length.
func parseHeader(b []byte) (header, error) {
	if len(b) < 2 {
		return header{}, fmt.Errorf("datagram of %d bytes: no header", len(b))
	}
	switch version := binary.BigEndian.Uint16(b); version {
	case versionNetFlow9:
		return parseNetFlow9Header(b)
	case versionIPFIX:
		return parseIPFIXHeader(b)
	default:
		return header{}, versionError(version, b)
	}
}

func parseNetFlow9Header(b []byte) (header, error) {
	if len(b) < netflow9HeaderSize {
		return header{},
			fmt.Errorf("NetFlow v9 datagram of %d bytes: the header has %d",
				len(b), netflow9HeaderSize)
	}
	return header{
		version:  versionNetFlow9,
		uptime:   binary.BigEndian.Uint32(b[4:]),
		exported: binary.BigEndian.Uint32(b[8:]),
		sequence: binary.BigEndian.Uint32(b[12:]),
		domain:   binary.BigEndian.Uint32(b[16:]),
		sets:     b[netflow9HeaderSize:],
	}, nil
}

func parseIPFIXHeader(b []byte) (header, error) {
	if len(b) < ipfixHeaderSize {
		return header{},
			fmt.Errorf("IPFIX datagram of %d bytes: the header has %d", len(b), ipfixHeaderSize)
	}
	if length := int(binary.BigEndian.Uint16(b[2:])); length != len(b) {
		return header{},
			fmt.Errorf("IPFIX message length %d in a datagram of %d bytes", length, len(b))
	}
	return header{
		version:  versionIPFIX,
		exported: binary.BigEndian.Uint32(b[4:]),
		sequence: binary.BigEndian.Uint32(b[8:]),
		domain:   binary.BigEndian.Uint32(b[12:]),
		sets:     b[ipfixHeaderSize:],
	}, nil
}

// versionError names the protocols that arrive here by mistake. An sFlow datagram begins with its
// version in 32 bits.
func versionError(version uint16, b []byte) error {
	switch {
	case version == 0 && len(b) >= 4 && b[3] == 5:
		return errors.New("sFlow v5 datagram: only NetFlow v9 and IPFIX are read")
	case version >= 1 && version <= 8:
		return fmt.Errorf("NetFlow v%d datagram: only NetFlow v9 and IPFIX are read", version)
	default:
		return fmt.Errorf("version %d: neither NetFlow v9 nor IPFIX", version)
	}
}

// A set is a set header and what its length spans, padding included.
type set struct {
	id    uint16
	bytes []byte
}

func (s set) body() []byte { return s.bytes[setHeaderSize:] }

// nextSet cuts the first set off b, which is not empty. After an error it isn't known where the
// next set begins.
func nextSet(b []byte) (s set, rest []byte, err error) {
	if len(b) < setHeaderSize {
		return set{}, nil, fmt.Errorf("%d bytes left: no set header", len(b))
	}
	id, length := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
	if length < setHeaderSize || length > len(b) {
		return set{}, nil, fmt.Errorf("set %d: length %d with %d bytes left", id, length, len(b))
	}
	return set{id, b[:length]}, b[length:], nil
}

// A setKind is what a set's id says of its content.
type setKind int

const (
	reservedSet setKind = iota
	templateSet
	optionsTemplateSet
	dataSet
)

// kind reads the set id by version: templates are 0 and 1 in v9 (RFC 3954, 5.2 and 6.1), 2 and 3 in
// IPFIX (RFC 7011, 3.3.2).
func (s set) kind(version uint16) setKind {
	switch {
	case s.id >= firstDataSet:
		return dataSet
	case version == versionNetFlow9 && s.id == 0, version == versionIPFIX && s.id == 2:
		return templateSet
	case version == versionNetFlow9 && s.id == 1, version == versionIPFIX && s.id == 3:
		return optionsTemplateSet
	default:
		return reservedSet
	}
}

package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

const (
	magic      = "conntly\n"
	version    = 2
	headerSize = len(magic) + 4 + 16 + 8 + 8 + 8 + 4
)

var (
	le     = binary.LittleEndian
	crc32c = crc32.MakeTable(crc32.Castagnoli)
)

// header begins every file.
type header struct {
	id    Identity
	began int64 // ns since 1970
}

// append adds the header to b.
func (h *header) append(b []byte) []byte {
	from := len(b)
	b = append(b, magic...)
	b = le.AppendUint32(b, version)
	b = append(b, h.id.Boot[:]...)
	b = le.AppendUint64(b, h.id.Namespace)
	b = le.AppendUint64(b, h.id.Cookie)
	b = le.AppendUint64(b, uint64(h.began))
	return le.AppendUint32(b, crc32.Checksum(b[from:], crc32c))
}

// parseHeader reads the headerSize bytes of b. The version comes before the CRC,
// which may stand elsewhere in another one.
func parseHeader(b []byte) (h header, err error) {
	if string(b[:8]) != magic {
		return h, errors.New("not a state file of conntally")
	}
	if v := le.Uint32(b[8:]); v != version {
		return h, fmt.Errorf("of version %d, this program knows %d", v, version)
	}
	if crc32.Checksum(b[:headerSize-4], crc32c) != le.Uint32(b[headerSize-4:]) {
		return h, errors.New("damaged: wrong CRC of the header")
	}
	h.id = Identity{Boot: [16]byte(b[12:28]), Namespace: le.Uint64(b[28:]), Cookie: le.Uint64(b[36:])}
	h.began = int64(le.Uint64(b[44:]))
	return h, nil
}

package collect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// NetFlow v5: a header, then records of one size.
const (
	version5 = 5
	header5  = 24
	record5  = 48
)

// decode5 reads a datagram of NetFlow v5, of which 16-bit versions are the first two
// bytes. Its counters have 32 bits.
func decode5(b []byte, fn func(record)) error {
	if len(b) < header5 {
		return errors.New("collect: a NetFlow v5 datagram without a header")
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if len(b) < header5+n*record5 {
		return fmt.Errorf("collect: %d NetFlow v5 records in %d bytes", n, len(b))
	}
	for b = b[header5:]; n > 0; n-- {
		fn(record{
			src: netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[0:])),
				binary.BigEndian.Uint16(b[32:])),
			dst: netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:])),
				binary.BigEndian.Uint16(b[34:])),
			packets: uint64(binary.BigEndian.Uint32(b[16:])),
			bytes:   uint64(binary.BigEndian.Uint32(b[20:])),
		})
		b = b[record5:]
	}
	return nil
}

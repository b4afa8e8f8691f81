package host

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/conntally/conntally/flow/host/hostname"
)

// searchVendors returns the names of those blocks that a list has. The smallest block
// around one counts. A list is one of
//
//	00-00-0C   (hex)		Cisco Systems, Inc     the IEEE's, without smaller blocks
//	00000C Cisco Systems                              nmap's
//	00:1B:C5:00:00:00/36	Convergi	Converging Systems Inc.  Wireshark's
//	OUI:00000C*                                       systemd's, with the name
//	 ID_OUI_FROM_DATABASE=Cisco Systems, Inc          in the next line
func searchVendors(list io.Reader, wanted map[block]bool) map[block]string {
	s := vendorSearch{byVendor: map[block][]block{}, found: map[block]match{}}
	for b := range wanted {
		s.byVendor[b>>(blockBits-24)] = append(s.byVendor[b>>(blockBits-24)], b)
	}
	r := bufio.NewReaderSize(list, 1<<16)
	for {
		line, err := r.ReadSlice('\n')
		if err == nil || err == io.EOF {
			s.line(bytes.TrimRight(line, "\r\n"))
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) { // the rest of a long line
			break
		}
	}
	names := make(map[block]string, len(s.found))
	for b, m := range s.found {
		names[b] = m.name
	}
	return names
}

// match is the vendor of a block, by a prefix of so many bits.
type match struct {
	bits int
	name string
}

type vendorSearch struct {
	byVendor map[block][]block // wanted ones, by their first 24 bits
	found    map[block]match
	prefix   block // of the line before, in systemd's list
	bits     int   // of prefix; 0: there is none
}

func (s *vendorSearch) line(line []byte) {
	const next = " ID_OUI_FROM_DATABASE="
	if name, ok := bytes.CutPrefix(line, []byte(next)); ok {
		if s.bits > 0 {
			s.add(s.prefix, s.bits, name)
		}
		return
	}
	s.bits = 0
	if prefix, ok := bytes.CutPrefix(line, []byte("OUI:")); ok {
		s.prefix, s.bits = parsePrefix(bytes.TrimSuffix(prefix, []byte("*")))
		return
	}
	end := bytes.IndexAny(line, " \t")
	if end < 0 {
		return
	}
	if prefix, bits := parsePrefix(line[:end]); bits > 0 {
		s.add(prefix, bits, line[end:])
	}
}

// add gives a name to all blocks below a prefix that have none of a longer one.
func (s *vendorSearch) add(prefix block, bits int, name []byte) {
	for _, b := range s.byVendor[prefix>>(bits-24)] {
		if b>>(blockBits-bits) == prefix && s.found[b].bits < bits {
			s.found[b] = match{bits, vendorName(name)}
		}
	}
}

// vendorName returns the name in the rest of a line: its last column.
func vendorName(b []byte) string {
	name := strings.TrimSpace(string(b[:min(len(b), 1024)]))
	name = strings.TrimPrefix(strings.TrimPrefix(name, "(hex)"), "(base 16)")
	name = name[strings.LastIndexByte(name, '\t')+1:]
	if name == "IEEE Registration Authority" { // which assigns the smaller blocks within to others
		return ""
	}
	return hostname.CleanText(name)
}

// parsePrefix parses 00000C, 00-00-0C, 00:00:0C or 00:1B:C5:00:00:00/36: the first bits of
// a MAC, and how many they are; 0: it is none.
func parsePrefix(text []byte) (prefix block, bits int) {
	text, length, masked := bytes.Cut(text, []byte("/"))
	for _, c := range text {
		var digit byte
		switch {
		case c >= '0' && c <= '9':
			digit = c - '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			digit = c | 0x20 - 'a' + 10
		case c == ':' || c == '-':
			continue
		default:
			return 0, 0
		}
		prefix = prefix<<4 | block(digit)
		bits += 4
	}
	if masked && bits == 48 {
		switch string(length) {
		case "24", "28", "36":
			shorter := int(length[0]-'0')*10 + int(length[1]-'0')
			prefix, bits = prefix>>(bits-shorter), shorter
		}
	}
	if bits != 24 && bits != 28 && bits != 36 {
		return 0, 0
	}
	return prefix, bits
}

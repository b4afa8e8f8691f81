package traffic

import (
	"encoding/hex"
	"testing"
)

// TestFrame compares frames byte by byte. The second replaces a packet that left its
// bytes behind.
func TestFrame(t *testing.T) {
	var f frame
	f.link([6]byte{2, 0, 0, 0, 0, 1}, [6]byte{2, 0, 0, 0, 0, 2})
	for _, test := range []struct {
		name   string
		packet Packet
		want   string
	}{
		{"TCP up", Packet{Flow: 1, Size: 42, Port: 443, TCP: true, Flags: SYN | ACK,
			Seq: 0x01020304, Ack: 0x05060708},
			"020000000002020000000001080045000" + "02a0000400040066a620a4d000bc6120002" +
				"040101bb0102030405060708" + "5012ffffc9940000" + "0000"},
		{"UDP down", Packet{Flow: 64_001, Size: 30, Port: 53, Down: true},
			"020000000002020000000001080045000" + "01e00004000401169" + "63c61201020a4d000b" +
				"00350401000a0000" + "0000"},
	} {
		n := f.set(&test.packet, client(test.packet.Flow))
		if got := hex.EncodeToString(f[:n]); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.name, got, test.want)
		}
		ip := f[etherHeader:n]
		if fold(sum(ip[:ipHeader])) != 0xffff {
			t.Errorf("%s: the IP header's checksum is wrong", test.name)
		}
		if l4 := ip[ipHeader:]; test.packet.TCP &&
			fold(sum(l4)+sum(ip[12:20])+6+uint32(len(l4))) != 0xffff {
			t.Errorf("%s: the TCP checksum is wrong", test.name)
		}
	}
}

func TestFrameAllocatesNothing(t *testing.T) {
	f, p := new(frame), Packet{Flow: 9, Size: 1400, TCP: true}
	if n := testing.AllocsPerRun(100, func() { f.set(&p, 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

package host

import "testing"

func TestMAC(t *testing.T) {
	mac, err := ParseMAC("DE-AD-be-ef-0-1")
	if err != nil || mac.String() != "de:ad:be:ef:00:01" || !mac.IsLocal() {
		t.Error(mac, err)
	}
	if (MAC{0, 0, 0xc}).IsLocal() {
		t.Error("00:00:0c is Cisco's")
	}
}

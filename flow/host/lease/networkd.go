package lease

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// networkdLease is an element of Leases; other members don't matter here. Times are of
// the machine's clock, in microseconds.
type networkdLease struct {
	Address                octets
	Hostname               string
	ClientID               octets `json:"ClientId"`
	HardwareAddress        octets
	HardwareAddressType    int
	ExpirationRealtimeUSec int64
}

// networkd reads what systemd-networkd's DHCP server writes per interface, one JSON object:
//
//	{"Address":[192,0,2,1],"Leases":[{"ClientId":[1,2,0,0,0,0,1],"Address":[192,0,2,10],
//	 "Hostname":"laptop","ExpirationRealtimeUSec":1790000000000000}]}
func networkd(b []byte, c *collector) error {
	d := json.NewDecoder(bytes.NewReader(b))
	err := networkdObject(d, c)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrIncomplete
	}
	if err != nil {
		return fmt.Errorf("at byte %d: %w", d.InputOffset(), err)
	}
	return nil
}

func networkdObject(d *json.Decoder, c *collector) error {
	if err := expect(d, '{'); err != nil {
		return err
	}
	for d.More() {
		member, err := d.Token()
		if err != nil {
			return err
		}
		if member == "Leases" {
			err = networkdLeases(d, c)
		} else {
			var other json.RawMessage
			err = d.Decode(&other)
		}
		if err != nil {
			return err
		}
	}
	return expect(d, '}')
}

// networkdLeases decodes an array lease by lease: the memory that it takes is bounded.
func networkdLeases(d *json.Decoder, c *collector) error {
	if err := expect(d, '['); err != nil {
		return err
	}
	for number := 1; d.More(); number++ {
		var l networkdLease
		if err := d.Decode(&l); err != nil {
			return err
		}
		c.entries++
		addr, ok := netip.AddrFromSlice(l.Address)
		if !ok {
			return fmt.Errorf("lease %d has no address", number)
		}
		c.add(Lease{Addr: addr, MAC: l.mac(), Name: l.Hostname, Until: l.until()})
	}
	return expect(d, ']')
}

func (l *networkdLease) until() int64 {
	if l.ExpirationRealtimeUSec <= 0 {
		return Forever
	}
	return l.ExpirationRealtimeUSec / 1e6
}

// mac returns the Ethernet address, which older versions give only as the identifier that
// most clients make of it: 1, then the address.
func (l *networkdLease) mac() (mac [6]byte) {
	const ethernet = 1
	switch {
	case len(l.HardwareAddress) == len(mac) && l.HardwareAddressType <= ethernet:
		copy(mac[:], l.HardwareAddress)
	case len(l.ClientID) == 1+len(mac) && l.ClientID[0] == ethernet:
		copy(mac[:], l.ClientID[1:])
	}
	return mac
}

func expect(d *json.Decoder, want json.Delim) error {
	token, err := d.Token()
	if err == nil && token != want {
		err = fmt.Errorf("%.40q instead of %q", fmt.Sprint(token), want.String())
	}
	return err
}

// octets is an array of numbers up to 255.
type octets []byte

// UnmarshalJSON decodes an array. One that is too long for any address is an error.
func (o *octets) UnmarshalJSON(b []byte) error {
	const longest = 4096
	if len(b) > longest {
		return fmt.Errorf("an array of %d B is too long", len(b))
	}
	var numbers []uint16 // not bytes: those would be a string in JSON
	if err := json.Unmarshal(b, &numbers); err != nil {
		return err
	}
	*o = make([]byte, len(numbers))
	for i, n := range numbers {
		if n > 255 {
			return fmt.Errorf("%d is more than a byte holds", n)
		}
		(*o)[i] = byte(n)
	}
	return nil
}

package account

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow/host"
)

// saved is the file of devices, JSON, so that they outlive a restart.
type saved struct {
	Version int           `json:"version"`
	Devices []savedDevice `json:"devices"`
}

const savedVersion = 1

type savedDevice struct {
	Device    string            `json:"device"`
	MAC       string            `json:"mac,omitempty"`
	Addresses []string          `json:"addresses,omitempty"` // the latest last
	First     int64             `json:"first_seen"`          // ns since 1970
	Last      int64             `json:"last_seen"`
	Usage     [scopes][4]uint64 `json:"usage"` // bytes and packets up, bytes and packets down
}

// Encode returns what Restore reads.
func (s *Snapshot) Encode() []byte {
	out := saved{Version: savedVersion, Devices: []savedDevice{}}
	for i := range s.Devices {
		d := &s.Devices[i]
		one := savedDevice{Device: d.ID.String(), First: nanos(d.First), Last: nanos(d.Last)}
		if d.MAC != (host.MAC{}) {
			one.MAC = d.MAC.String()
		}
		for j := len(d.Addresses) - 1; j >= 0; j-- {
			one.Addresses = append(one.Addresses, d.Addresses[j].String())
		}
		for scope, u := range d.Usage {
			one.Usage[scope] = [4]uint64{u.Up.Bytes, u.Up.Packets, u.Down.Bytes, u.Down.Packets}
		}
		out.Devices = append(out.Devices, one)
	}
	b, _ := json.Marshal(&out) // it has plain values only: this can't fail
	return append(b, '\n')
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// Restore continues the accounts that Encode wrote. Call it before the first Open. It restores
// all of b or, with an error, nothing. Devices that find no room count as other.
func (a *Accounts) Restore(b []byte) error {
	var in saved
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	if in.Version != savedVersion {
		return fmt.Errorf("version %d, want %d", in.Version, savedVersion)
	}
	all := make([]device, len(in.Devices))
	for i := range in.Devices {
		var err error
		if all[i], err = in.Devices[i].device(); err != nil {
			return fmt.Errorf("device %d: %w", i+1, err)
		}
	}
	for i := range all {
		a.restore(&all[i])
	}
	return nil
}

func (a *Accounts) restore(d *device) {
	id := a.aliased(d)
	i, known := a.byID[id]
	if !known {
		if i = other; len(a.byID) < a.options.Max+2 {
			i = a.add(id)
		}
	}
	to := &a.devices[i]
	for s := range d.usage {
		to.usage[s].Add(&d.usage[s])
		to.restored[s].Add(&d.usage[s])
	}
	to.seen(d.last)
	if d.first != 0 {
		to.first = min(to.first, d.first)
	}
	if i == other || i == router {
		return
	}
	to.mac = d.mac
	for _, at := range d.addresses {
		a.addAddress(i, at)
	}
}

// device checks a device that was read.
func (s *savedDevice) device() (device, error) {
	id, err := ParseID(s.Device)
	d := newDevice(id)
	if err == nil && s.MAC != "" {
		d.mac, err = host.ParseMAC(s.MAC)
	}
	if err == nil && (len(s.Addresses) > maxAddresses || s.First < 0 || s.Last < s.First) {
		err = errors.New("impossible addresses or times")
	}
	if err != nil {
		return d, err
	}
	d.first, d.last = s.First, s.Last
	for _, text := range s.Addresses {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return d, err
		}
		d.addresses = append(d.addresses, address{conntrack.AddrFrom(ip), id.zone})
	}
	for scope, n := range s.Usage {
		d.usage[scope] = Usage{
			Up:   conntrack.Counters{Bytes: n[0], Packets: n[1]},
			Down: conntrack.Counters{Bytes: n[2], Packets: n[3]},
		}
	}
	return d, nil
}

// ParseID reads what ID.String returns.
func ParseID(s string) (ID, error) {
	switch s {
	case "other":
		return ID{Kind: Other}, nil
	case "router":
		return ID{Kind: Router}, nil
	}
	if mac, err := host.ParseMAC(s); err == nil {
		return ID{Kind: ByMAC, MAC: mac}, nil
	}
	id := ID{Kind: ByAddress}
	if zone, rest, ok := strings.Cut(s, "/"); ok {
		n, err := strconv.ParseUint(strings.TrimPrefix(zone, "zone"), 10, 16)
		if err != nil || n == 0 || !strings.HasPrefix(zone, "zone") {
			return ID{}, fmt.Errorf("%q is not a device", s)
		}
		id.zone, s = uint16(n), rest
	}
	ip, err := netip.ParseAddr(s)
	if err != nil || ip.Zone() != "" {
		return ID{}, fmt.Errorf("%q is not a device", s)
	}
	id.addr = conntrack.AddrFrom(ip)
	return id, nil
}

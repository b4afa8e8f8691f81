package export

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// DefaultMessageSize keeps a datagram whole on any path with an MTU of 1500,
// tunnels included.
const DefaultMessageSize = 1400

// DefaultTemplateInterval is how long a collector that lost the templates can read nothing.
const DefaultTemplateInterval = 60 * time.Second

const dialTimeout = 5 * time.Second

// CollectorConfig says where and how to export.
type CollectorConfig struct {
	Address  string // host:port
	Protocol Protocol
	// Source is the address of this machine to send from. The zero Addr leaves it to the route.
	Source netip.Addr
	// Interface is the interface to send by, whatever routes say; VRF the one whose routes lead to
	// the collector. At most one is set.
	Interface, VRF string
	// MaxDatagram bounds the UDP payload, in octets; 0 is DefaultMessageSize. A
	// path may bound it further.
	MaxDatagram int
	// TemplateInterval is how often templates and option data are sent again; 0 is
	// DefaultTemplateInterval.
	TemplateInterval time.Duration
	RecordOptions
}

// domain returns the observation domain or source id. Each protocol has its own, since pmacct
// distinguishes the protocols of an exporter by it.
func (t *CollectorConfig) domain() uint32 { return uint32(t.Protocol) }

// literal reports whether the host is an address rather than a name.
func (t *CollectorConfig) literal() bool {
	host, _, err := net.SplitHostPort(t.Address)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(host)
	return err == nil
}

// Dial opens a socket to the collector.
func (t *CollectorConfig) Dial(ctx context.Context) (*net.UDPConn, error) {
	return t.dial(ctx, netip.AddrPort{}, false)
}

// dial opens a socket. If the name still has the address inUse (without zone), it returns nil;
// with elsewhere it dials another address of the name, if there is one.
func (t *CollectorConfig) dial(
	ctx context.Context, inUse netip.AddrPort, elsewhere bool,
) (*net.UDPConn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	all, err := t.resolve(ctx)
	if err != nil {
		return nil, err
	}
	same := func(a netip.AddrPort) bool { return withoutZone(a) == inUse }
	if at := slices.IndexFunc(all, same); at >= 0 {
		if all = slices.Concat(all[at+1:], all[:at]); !elsewhere || len(all) == 0 {
			return nil, nil
		}
	}
	// resolving may have used up the time; this needs none
	return t.dialFirst(context.WithoutCancel(ctx), all)
}

// dialFirst opens a socket to the first address that has a route.
func (t *CollectorConfig) dialFirst(
	ctx context.Context, all []netip.AddrPort,
) (*net.UDPConn, error) {
	dialer := t.dialer()
	var errs []error
	for _, a := range all {
		conn, err := dialer.DialContext(ctx, "udp", a.String())
		if err == nil {
			return conn.(*net.UDPConn), nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// resolve returns the addresses that have the family of Source, the preferred one first.
func (t *CollectorConfig) resolve(ctx context.Context) (all []netip.AddrPort, err error) {
	host, service, err := net.SplitHostPort(t.Address)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "udp", service)
	if err != nil {
		return nil, err
	}
	found, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return nil, err
	}
	for i := range found {
		a, _ := netip.AddrFromSlice(found[i].IP)
		a = a.Unmap().WithZone(found[i].Zone)
		if !t.Source.IsValid() || t.Source.Is4() == a.Is4() {
			all = append(all, netip.AddrPortFrom(a, uint16(port)))
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no address of the family of %s", host, t.Source)
	}
	return all, nil
}

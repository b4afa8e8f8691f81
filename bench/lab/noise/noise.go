// Package noise makes the background traffic of a LAN and its router: DHCP, NetBIOS, mDNS, SSDP,
// LLMNR, IGMP and MLD, hosts that come, go and change their addresses, refused connections,
// unreachable hosts, port scans, other IP protocols, and routes, rules and links that change
// without affecting any connection.
//
//	seed -> Source.Next -> Event.Make -> frames of some twenty hosts on the LAN, and of the WAN
//	                                  -> the router's own services, which answer
//	                                  -> the router's routes, rules and links
//
// All of it stays within the namespaces of one lab, and each event is a few packets. The
// same seed makes the same events.
package noise

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/conntally/conntally/bench/lab"
)

// Source makes the noise of one lab. Its methods are for one goroutine, the events that
// it returns for any.
type Source struct {
	lab      *lab.Lab
	internet netip.Addr
	kinds    []kind
	rand     *rand.Rand
	hosts    []host
	lan, wan *wire
	services services
	spare    spare
}

// Event is one thing that happens.
type Event struct {
	Kind string
	Make func(context.Context) error
}

// New prepares a lab for noise, which begins with the first event. internet is an IPv4
// address of the server behind the router's default route.
func New(l *lab.Lab, internet netip.Addr, seed uint64) (*Source, error) {
	s := &Source{lab: l, internet: internet, kinds: kinds(), rand: rand.New(rand.NewPCG(seed, 0))}
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("noise: %w", err), s.Close())
	}
	return s, nil
}

func (s *Source) open() (err error) {
	if s.lan, err = openWire(s.lab.Client, s.lab.Router, lab.LAN); err != nil {
		return err
	}
	if s.wan, err = openWire(s.lab.Server, s.lab.Router, lab.WAN); err != nil {
		return err
	}
	for i := range population {
		s.hosts = append(s.hosts, newHost(i))
	}
	if err := s.lab.Router.IP(spareSetup); err != nil {
		return err
	}
	return s.services.open(s.lab.Router)
}

// Close ends the router's services. Events fail from then on.
func (s *Source) Close() error {
	return errors.Join(s.lan.close(), s.wan.close(), s.services.close())
}

// Kinds returns the names of all kinds of events.
func Kinds() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// Next draws an event.
func (s *Source) Next() Event { return s.event(s.kinds[s.rand.IntN(len(s.kinds))]) }

// Of draws an event of a kind.
func (s *Source) Of(name string) (Event, error) {
	for _, k := range s.kinds {
		if k.name == name {
			return s.event(k), nil
		}
	}
	return Event{}, fmt.Errorf("noise: no kind %q", name)
}

func (s *Source) event(k kind) Event {
	do := k.draw(s)
	return Event{k.name, func(ctx context.Context) error {
		if err := do(ctx); err != nil {
			return fmt.Errorf("noise: %s: %w", k.name, err)
		}
		return nil
	}}
}

// Run makes events, so many per second, until ctx ends. It returns how many there were.
func (s *Source) Run(ctx context.Context, rate int) (events int, err error) {
	for begin := time.Now(); ; events++ {
		due := begin.Add(time.Duration(events) * time.Second / time.Duration(rate))
		if lab.WaitUntil(ctx, due) != nil {
			return events, nil
		}
		if err := s.Next().Make(ctx); err != nil && ctx.Err() == nil {
			return events, err
		}
	}
}

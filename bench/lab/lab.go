package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"sync/atomic"
)

// Lab is a client, a router and a server, joined. It is safe for concurrent use,
// and any number of labs may exist at once.
type Lab struct {
	Client, Router, Server *Namespace
	Guest                  *Namespace // nil without Options.Guest

	servers   *servers
	generated ledger
	udpPorts  atomic.Uint32 // given out so far
	echoIDs   atomic.Uint32
	broken    chan struct{} // holds a value while a datagram is in fragments
}

// Options of a lab.
type Options struct {
	// Sysctls of the router, set before any packet moves. A key is a path
	// below /proc/sys, such as "net/netfilter/nf_conntrack_acct".
	Sysctls map[string]string
	// BehindClient and BehindServer are networks that the router reaches through
	// that host, beside the host's own.
	BehindClient, BehindServer []netip.Prefix
	// Internet has more addresses of the server, on its loopback interface. It serves
	// them like its own, and the router has default routes to it.
	Internet []netip.Addr
	// Guest adds a second LAN, on the router's interface lan1, with one host.
	Guest bool
	// Deaf hosts drop all that reaches them by their interface: for traffic of
	// which both ends are made packet by packet, so that nobody may answer. The
	// lab's own traffic takes hosts that hear.
	Deaf bool
}

// New builds a lab whose servers are listening. On an error nothing is left.
func New(o Options) (*Lab, error) {
	l := &Lab{servers: newServers(), broken: make(chan struct{}, 1)}
	if err := l.build(o); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Close ends the servers, resets connections that are still open and gives the
// namespaces up. All other traffic has to have ended. The kernel takes the
// namespaces down once no process uses them.
func (l *Lab) Close() error {
	l.servers.close()
	var errs []error
	for _, n := range []*Namespace{l.Client, l.Router, l.Server, l.Guest} {
		if n != nil {
			errs = append(errs, n.Close())
		}
	}
	return errors.Join(errs...)
}

func (l *Lab) build(o Options) error {
	if err := l.namespaces(o); err != nil {
		return fmt.Errorf("lab: namespaces: %w", err)
	}
	// The rules come first: they bring conntrack and its sysctls into being.
	if err := errors.Join(
		routerRules(l.Router), hostRules(l.Client, o.Deaf), hostRules(l.Server, o.Deaf),
	); err != nil {
		return err
	}
	if err := l.sysctls(o); err != nil {
		return fmt.Errorf("lab: sysctls: %w", err)
	}
	if err := l.network(o); err != nil {
		return err
	}
	return l.serve(o)
}

func (l *Lab) namespaces(o Options) error {
	all := []**Namespace{&l.Client, &l.Router, &l.Server}
	if o.Guest {
		all = append(all, &l.Guest)
	}
	for _, n := range all {
		made, err := NewNamespace()
		if err != nil {
			return err
		}
		*n = made
		if err := loopbackUp(made); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) sysctls(o Options) error {
	for _, n := range []*Namespace{l.Client, l.Router, l.Server, l.Guest} {
		if n == nil {
			continue
		}
		// Lets any group open ICMP datagram sockets.
		if err := errors.Join(
			quiet(n), once(n), n.Sysctl("net/ipv4/ping_group_range", "0 2147483647"),
		); err != nil {
			return err
		}
	}
	for _, key := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		if err := l.Router.Sysctl(key, "1"); err != nil {
			return err
		}
	}
	for key, value := range o.Sysctls {
		if err := l.Router.Sysctl(key, value); err != nil {
			return err
		}
	}
	return nil
}

// once has TCP send no segment again because its acknowledgement is late, as it is on a busy
// machine: rules count the segment, and conntrack doesn't if the receiver has acknowledged it
// (tcp_in_window: NFCT_TCP_IGNORE).
func once(n *Namespace) error {
	err := n.Sysctl("net/ipv4/tcp_rto_min_us", "1000000")
	if errors.Is(err, fs.ErrNotExist) { // before Linux 6.11
		err = nil
	}
	return errors.Join(err, n.Sysctl("net/ipv4/tcp_early_retrans", "0"))
}

// quiet makes the interfaces to come usable at once and spares router discovery.
func quiet(n *Namespace) error {
	for _, key := range []string{"accept_dad", "accept_ra", "router_solicitations"} {
		if err := n.Sysctl("net/ipv6/conf/default/"+key, "0"); err != nil {
			return err
		}
	}
	return nil
}

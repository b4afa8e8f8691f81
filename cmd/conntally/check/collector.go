package check

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/export"
)

// collector checks the result of sending to a collector.
func collector(r *CollectorResult) Result {
	where := r.Address
	if to := r.To.String(); r.To.IsValid() && to != where {
		where += " (" + to + ")"
	}
	if r.Err == nil {
		return ok("%s, %s: no ICMP error was returned", where, r.Protocol)
	}
	return fail("", "%s: %s", where, explain(r.Err))
}

// explain says what an error of export.ProbeCollector means.
func explain(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return "the name can't be resolved: " + dns.Err
	}
	var bind *export.BindError
	if errors.As(err, &bind) {
		return bind.Error()
	}
	var op *net.OpError
	here := errors.As(err, &op) && op.Op == "dial"
	switch {
	case here && errors.Is(err, unix.EADDRNOTAVAIL):
		return "its source is not an address of this machine"
	case here && (errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH)):
		return "there is no route to it"
	case errors.Is(err, unix.ECONNREFUSED):
		return "nothing listens there (port unreachable)"
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH):
		return "it is off, or the path to it is broken or blocked (ICMP unreachable)"
	case errors.Is(err, unix.EACCES):
		return "a firewall on the path prohibits it"
	case errors.Is(err, unix.EPERM):
		return "a firewall rule of this machine prohibits it"
	}
	return err.Error()
}

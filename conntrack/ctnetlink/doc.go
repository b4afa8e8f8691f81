// Package ctnetlink reads the kernel's connection tracking by netlink: dumps of living
// entries and DESTROY events of ended ones.
//
//	netlink datagrams -> Socket -> Reader -> func(*conntrack.Event)
//
// A Reader, which is a conntrack.Source, holds two sockets, one subscribed to the end of
// every entry and one for dumps of the living ones, and is driven by a single goroutine.
// Reading is this program's main expense, so nothing is allocated per entry or event.
package ctnetlink

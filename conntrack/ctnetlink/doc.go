// Package ctnetlink reads the kernel's connection tracking by netlink: dumps of living
// entries and DESTROY events of ended ones.
//
//	netlink datagrams -> Socket -> Reader -> func(*conntrack.Event)
//
// A Reader is a conntrack.Source. It has two sockets, one that is subscribed to the end of every
// entry and one for dumps of the living ones, and further ones while the kernel's table is sparse:
// see sparse.go. It belongs to a single goroutine. Reading is this program's main expense, so it
// allocates nothing per entry or event.
package ctnetlink

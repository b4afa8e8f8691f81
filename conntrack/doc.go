// Package conntrack is the boundary to the kernel's connection tracking: it
// reads ctnetlink dumps and DESTROY events and turns them into Events.
//
//	netlink datagrams -> Socket -> Reader -> func(*Event)
//
// A Reader holds two sockets, one subscribed to the end of every entry and one
// for dumps of the living ones, and is driven by a single goroutine. Reading is
// this program's main expense, so nothing is allocated per entry or event.
package conntrack

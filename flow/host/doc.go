// Package host knows what the router knows of the hosts beside it.
//
//	RTM_NEWNEIGH, RTM_DELNEIGH -> Neighbours -> MAC(address, interface)
package host

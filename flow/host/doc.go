// Package host knows the hosts on the router's own networks.
//
//	RTM_NEWNEIGH, RTM_DELNEIGH -> Neighbours -> MAC(address, interface)
package host

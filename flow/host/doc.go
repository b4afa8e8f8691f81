// Package host knows the hosts on the router's own networks.
//
//	RTM_NEWNEIGH, RTM_DELNEIGH -> Neighbours -> MAC(address, interface)
//	leases, /etc/ethers, /etc/hosts -> Names -> Name(MAC, addresses)
//	the system's list of prefixes -> Names -> Vendor(MAC)
package host

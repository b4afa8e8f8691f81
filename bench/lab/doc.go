// Package lab builds a client, a NAT router and a server in network namespaces
// of their own, and sends real, counted traffic through them.
//
//	client eth0 ---- lan0 router wan0 ---- eth0 server
//	192.168.77.10    .1    198.51.100.1    .20
//	2001:db8:77::10  ::1   2001:db8:100::1 ::20
//
// The router translates IPv4 that leaves by wan0 to its own address, and
// forwards TCP port 8443 of that address to port 443 of the client. IPv6 is
// routed as it is. The client offers TCP on port 443; the server offers TCP on
// port 443, UDP that answers on port 53, and UDP that stays silent on port 9.
//
// With Options.Guest there is a second LAN, lan1, with one host; with Options.Internet
// the server has more addresses, behind the router's default routes. Observe has the
// router's rules count each direction of each connection, by the interfaces that its
// packets take, for tests that compare records with what really passed.
//
// Every packet is counted three times: by the generator that asks for it (UDP
// and ICMP: Generated), by the hosts where it leaves them (Sent), and by the
// router where conntrack counts it too (Forwarded). All bytes are those of the
// network layer, IP header included.
//
// The namespaces have no names: they end with the process.
package lab

// Package route knows the router's network interfaces and finds those through which
// a connection passes, which conntrack doesn't know.
//
//	notifications -> state -> view -> Resolver.Path -> flow.Table
//	                                      |
//	                                RTM_GETROUTE
//
// A goroutine follows links, addresses, rules and routes by rtnetlink and publishes
// what it knows as a view that never changes. Path belongs to the table's
// goroutine: it asks the kernel for the route to an address, with the policy of the
// router applied, and remembers the answer until anything changes.
package route

// Package account counts what each device on the router's own networks moves.
//
//	flow.Table -> Accounts.Open, Count, Close -> Accounts.Snapshot -> metrics, control socket
//
// A device is an end of a connection that another interface than an uplink leads to, or
// the router itself. Other goroutines read a Snapshot, which the table's goroutine makes.
package account

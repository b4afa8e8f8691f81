// Package host knows what the router knows of the hosts beside it.
package host

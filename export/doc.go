// Package export sends flow records to collectors as NetFlow v9 (RFC 3954) or
// IPFIX (RFC 7011) over UDP.
//
//	flow.Pair -> Exporter -> Collector -> Encoder -> datagram
//
// An Encoder packs records into messages and does no I/O. A Collector adds the socket, and sends
// messages and templates when they are due. An Exporter serves all collectors. One goroutine
// calls all of it, and it never blocks.
package export

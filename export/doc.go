// Package export sends flow records to collectors as NetFlow v9 (RFC 3954) or
// IPFIX (RFC 7011) over UDP.
//
//	flow.Record -> Exporter -> Collector -> Encoder -> datagram
//
// An Encoder packs records into messages and does no I/O; a Collector adds the
// socket and the times at which datagrams and templates are due; an Exporter
// serves all collectors. All of it belongs to one goroutine and never waits.
package export

// Package traffic makes the traffic of a benchmark: packets of both ends of many
// flows, put on the wires of a bench/lab whose hosts are deaf, at a given pace.
//
// Sources are pure: they say which packet of which flow is due when. The Sender
// builds the packets and hands them to packet sockets, many at a time, so that one
// core makes and forwards some 200,000 packets per second.
package traffic

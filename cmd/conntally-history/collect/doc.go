// Package collect turns flow records into usage by device and destination.
//
//	decode.Message -> Collector.Handle: streams (what is missing)
//	                    -> ends (which end is a device) -> devices (who it is)
//	                    -> spread (over hours) -> pending -> Collector.Take -> usage.Batch
//
// Everything a record counts counts for some device: what belongs to none, or finds no room,
// counts for usage.Other.
package collect

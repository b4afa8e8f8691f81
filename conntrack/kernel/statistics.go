package kernel

import (
	"errors"

	"github.com/ti-mo/conntrack"
)

// Statistics are the kernel's own counters of connection tracking in this network
// namespace since it began, as `conntrack -S` has them, over all processors (CTA_STATS_*
// of nfnetlink_conntrack.h). Each processor's wraps at 2^32.
type Statistics struct {
	Invalid       uint64 // packets that could not be tracked
	InsertFailed  uint64 // entries not inserted: another packet of the connection was first
	Drop          uint64 // packets dropped: no entry could be made for them, or a helper said so
	EarlyDrop     uint64 // entries dropped to make room for new ones
	Error         uint64 // packets that a protocol's check refused, such as ICMP errors
	SearchRestart uint64 // lookups begun again, as the table was resized
}

// ReadStatistics asks the kernel for them, which takes CAP_NET_ADMIN.
func ReadStatistics() (s Statistics, err error) {
	conn, err := conntrack.Dial(nil)
	if err != nil {
		return s, err
	}
	processors, err := conn.Stats()
	for i := range processors {
		p := &processors[i]
		s.Invalid += uint64(p.Invalid)
		s.InsertFailed += uint64(p.InsertFailed)
		s.Drop += uint64(p.Drop)
		s.EarlyDrop += uint64(p.EarlyDrop)
		s.Error += uint64(p.Error)
		s.SearchRestart += uint64(p.SearchRestart)
	}
	return s, errors.Join(err, conn.Close())
}

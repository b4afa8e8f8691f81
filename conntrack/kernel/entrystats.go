package kernel

import (
	"github.com/conntally/conntally/conntrack"
)

// watched bounds the offloaded entries whose counters an EntryStats keeps.
const watched = 1000

// EntryStats counts the entries of a table by how they are accounted.
type EntryStats struct {
	Entries   int // that live
	Uncounted int // without counters: older than nf_conntrack_acct=1; without loopback
	Offloaded int // that a flowtable forwards

	counters map[conntrack.Key][2]conntrack.Counters // of offloaded ones, up to watched
}

// CountEntries counts what dump shows: ctnetlink.DumpOnce, or a Reader's Dump.
func CountEntries(dump func(func(*conntrack.Event)) error) (s EntryStats, err error) {
	err = dump(s.Count)
	return s, err
}

// Reset clears the counts for another dump.
func (s *EntryStats) Reset() {
	clear(s.counters)
	*s = EntryStats{counters: s.counters}
}

// Count counts one entry of a dump; ends of connections don't count.
func (s *EntryStats) Count(e *conntrack.Event) {
	if e.Type != conntrack.Dump {
		return
	}
	s.Entries++
	if !e.Counted {
		if !e.Orig.Src.IsLoopback() { // which is not exported
			s.Uncounted++
		}
		return
	}
	if e.Status&(conntrack.Offload|conntrack.HWOffload) == 0 {
		return
	}
	s.Offloaded++
	if s.counters == nil {
		s.counters = map[conntrack.Key][2]conntrack.Counters{}
	}
	if len(s.counters) < watched {
		s.counters[e.Key()] = e.Counters
	}
}

// Moved returns how many offloaded entries are in both dumps, and how many of these have counted
// packets in between.
func (s *EntryStats) Moved(before *EntryStats) (moved, inBoth int) {
	for key, was := range before.counters {
		if now, ok := s.counters[key]; ok {
			inBoth++
			if now != was {
				moved++
			}
		}
	}
	return moved, inBoth
}
